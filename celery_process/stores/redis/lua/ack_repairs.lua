#!lua
-- include: basics
-- Acknowledge repairs: delete those of this number. If the number is another, a sweep came since. The number stays.
-- ARGV: time, epoch, run, number.
local found = call('HMGET', run_key(ARGV[2]), 'id', 'repairs')
if found[1] ~= ARGV[3] or found[2] ~= ARGV[4] then return end
call('HDEL', run_key(ARGV[2]), 'freed', 'lost_names', 'lost_count')
