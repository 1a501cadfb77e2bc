#!lua
-- include: basics
-- Claim the sweep of a process for this caller, if it needs one and had none for the interval. ARGV: time, interval, grace.
local now = clock()
local found = call('HMGET', PROCESS, 'swept', 'run', 'purge')
if found[1] and not passed(tonumber(found[1]), now, tonumber(ARGV[2])) then return {} end
local untold = {}
local function add(from, to)
  for _, epoch in ipairs(call('ZRANGEBYSCORE', UNTOLD, from, to, 'LIMIT', 0, 1000)) do
    untold[#untold + 1] = call('HGET', run_key(epoch), 'id')
  end
end
add('-inf', whole(now - tonumber(ARGV[3])))
add('(' .. whole(now + tonumber(ARGV[3])), '+inf')
if not found[2] and #untold == 0 and found[3] ~= '1' then return {} end
local open = found[2] and call('HGET', run_key(found[2]), 'id') or ''
call('HSET', PROCESS, 'swept', whole(now))
return {open, found[3] == '1' and 1 or 0, untold, found[1] or ''}
