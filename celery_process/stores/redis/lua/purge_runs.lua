#!lua flags=allow-oom
-- include: basics
-- Delete closed runs beyond the limits, with their items. UNLINK frees a key's memory off the server's main thread.
-- ARGV: time, runs kept, runs kept with items, most rows. Returns how many rows were deleted.
local runs, with_items, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local process = call('HMGET', PROCESS, 'v', 'run')
local spared, deleted = {}, 0
if process[2] then
  for epoch in string.gmatch(call('HGET', run_key(process[2]), 'redrives'), '%d+') do spared[epoch] = true end
end
hashes(UUIDS)
sets(SLOT_RUNS, UNTOLD, WITH_ITEMS)
local skip = process[2] and 1 or 0  -- the open run is the newest
local old = call('ZREVRANGE', RUNS, skip + with_items, skip + with_items)[1]
local emptied = old and call('ZREVRANGEBYSCORE', WITH_ITEMS, old, '-inf', 'LIMIT', 0, 500) or {}
local gone = call('ZREVRANGE', RUNS, skip + runs, skip + runs + 500)

local function empty(epoch)
  deleted = deleted + math.max(call('HLEN', items_key(epoch)) - 1, 0)
  call('UNLINK', items_key(epoch), pages_key(epoch), open_key(epoch))
  call('ZREM', WITH_ITEMS, epoch)
end

for _, epoch in ipairs(gone) do
  if deleted < most and not spared[epoch] then
    local run = call('HMGET', run_key(epoch), 'uuid', 'slot', 'generation')
    empty(epoch)
    deleted = deleted + 1
    call('UNLINK', run_key(epoch))
    call('ZREM', RUNS, epoch)
    call('HDEL', UUIDS, run[1])
    call('ZREM', SLOT_RUNS, run[2] .. ':' .. string.format('%010d', tonumber(run[3])) .. ':' .. epoch)
    call('ZREM', UNTOLD, epoch)
  end
end
for _, epoch in ipairs(emptied) do
  if deleted < most and not spared[epoch] and call('EXISTS', run_key(epoch)) == 1 then
    empty(epoch)
    call('HSET', run_key(epoch), 'purged', '1')
  end
end
if deleted > 0 or #emptied > 0 then call('HSET', PROCESS, 'v', whole(tonumber(process[1] or 0) + 1)) end
return deleted
