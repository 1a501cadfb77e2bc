#!lua
-- include: basics
-- Pause a process, or with one argument end its pause. ARGV: time, note, by.
local version = whole(tonumber(call('HGET', PROCESS, 'v') or 0) + 1)
if #ARGV == 1 then
  call('HDEL', PROCESS, 'paused', 'note', 'paused_by')
  call('HSET', PROCESS, 'v', version)
else
  call('HSET', PROCESS, 'paused', whole(clock()), 'note', ARGV[2], 'paused_by', ARGV[3], 'v', version)
end
