#!lua flags=no-writes
-- include: basics
-- Return entries of the ledger before a slot, newest first. ARGV: time, slot (or empty), limit.
local before = ARGV[2] == '' and '+' or '(' .. ARGV[2]
local slots = call('ZREVRANGEBYLEX', SLOTS, before, '-', 'LIMIT', 0, ARGV[3])
return {slots, many('HMGET', LEDGER, slots)}
