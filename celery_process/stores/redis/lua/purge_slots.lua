#!lua flags=allow-oom
-- include: basics
-- Delete the oldest entries of the ledger. ARGV: time, how many are kept, most rows.
hashes(LEDGER)
local most = math.min(call('ZCARD', SLOTS) - tonumber(ARGV[2]), tonumber(ARGV[3]))
if most <= 0 then return 0 end
local slots = call('ZRANGE', SLOTS, 0, most - 1)
call('HDEL', LEDGER, unpack(slots))
call('ZREM', SLOTS, unpack(slots))
return #slots
