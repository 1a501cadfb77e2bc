#!lua
-- include: basics states
-- Make an ACTIVE run ABORTING; the first reason is kept. ARGV: time, epoch, run, reason. Returns the reason, the open pages,
-- of which a closed run has none.
local epoch = ARGV[2]
local run = call('HMGET', run_key(epoch), 'id', 'state', 'reason')
if run[1] ~= ARGV[3] then return {} end
local pages = call('ZRANGE', open_key(epoch), 0, -1)
if run[2] == 'ACTIVE' then
  call('HSET', run_key(epoch), 'state', run_moved(run[2], 'ABORTING'), 'reason', ARGV[4])
  return {ARGV[4], pages}
end
return {run[3], pages}
