#!lua
-- include: basics
-- Forget the repairs of a number, which were told; of another number there was one more sweep since. The number stays.
-- ARGV: time, epoch, run, number.
local found = call('HMGET', run_key(ARGV[2]), 'id', 'repairs')
if found[1] ~= ARGV[3] or found[2] ~= ARGV[4] then return end
call('HDEL', run_key(ARGV[2]), 'freed', 'lost_names', 'lost_count')
