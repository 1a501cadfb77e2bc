#!lua
-- include: basics
-- Store limits; nobody is awaited any more. ARGV: time, whether to forget what is stored, items out at once, rate, by. An
-- empty text keeps what is stored.
local found = call('HMGET', PROCESS, 'limits', 'pace', 'v')
local stored = ARGV[2] == '0' and found[1] and split(found[1]) or {'', ''}
local window = ARGV[3] ~= '' and ARGV[3] or stored[1]
local rate = ARGV[4] ~= '' and ARGV[4] or stored[2]
call('HSET', PROCESS, 'v', whole(tonumber(found[3] or 0) + 1))
if found[2] then
  local at, items = unpack(split(found[2]))
  call('HSET', PROCESS, 'pace', join({at, items, ''}))
end
if window == '' and rate == '' then
  call('HDEL', PROCESS, 'limits')
else
  call('HSET', PROCESS, 'limits', join({window, rate, whole(clock()), ARGV[5]}))
end
