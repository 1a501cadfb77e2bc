#!lua
-- include: basics
-- Replace the limits of a process, and forget its pace. ARGV: time, items out at once, rate, by; an empty text is nothing.
local version = whole(tonumber(call('HGET', PROCESS, 'v') or 0) + 1)
call('HDEL', PROCESS, 'limits', 'pace')
if ARGV[2] == '' and ARGV[3] == '' then
  call('HSET', PROCESS, 'v', version)
else
  call('HSET', PROCESS, 'limits', join({ARGV[2], ARGV[3], whole(clock()), ARGV[4]}), 'v', version)
end
