#!lua
-- include: basics
-- Note a sweep of a known process that had none for the interval; return when its last one was. ARGV: time, interval.
local now = clock()
local last = call('HGET', PROCESS, 'swept') or ''
if last ~= '' and not passed(tonumber(last), now, tonumber(ARGV[2])) then return {} end
if call('EXISTS', PROCESS) == 0 then return {} end
call('HSET', PROCESS, 'swept', whole(now))
return {last}
