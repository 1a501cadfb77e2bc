#!lua
-- include: basics
-- Note that the end of a closed run was emitted; return 1 the first time. ARGV: time, epoch, run.
local run = call('HMGET', run_key(ARGV[2]), 'id', 'finished', 'notified')
if run[1] ~= ARGV[3] or not run[2] or run[3] then return 0 end
call('ZREM', UNTOLD, ARGV[2])
call('HSET', run_key(ARGV[2]), 'notified', whole(clock()))
return 1
