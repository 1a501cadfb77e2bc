#!lua
-- include: basics ledger showing
-- Start a run, if the process is as it was read. ARGV: time, version, epoch, uuid, id, slot, generation, last slot, end of
-- a missed range, its start, rule, by, listed before (empty: now), then the run's other fields and their values.
local version = call('HGET', PROCESS, 'v') or ''
if version ~= ARGV[2] then return {'late'} end
local epoch, uuid, id, slot, generation, now = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], whole(clock())
hashes(UUIDS, LEDGER, run_key(epoch))
sets(RUNS, SLOT_RUNS, SLOTS, WITH_ITEMS)
local next_version = whole(tonumber(version ~= '' and version or 0) + 1)
local listed = ARGV[13] ~= '' and ARGV[13] or now

call('HSET', PROCESS, 'v', next_version, 'epoch', epoch, 'last', ARGV[8], 'run', epoch)
account(now, ARGV[9], ARGV[10], ARGV[11])
enter(slot, join({'ran', now, id, '', ARGV[12]}))
call('HSET', run_key(epoch), 'id', id, 'slot', slot, 'generation', generation, 'started', now, 'progress', now, 'listed',
  listed, unpack(given(14)))
call('ZADD', RUNS, epoch, epoch)
call('ZADD', WITH_ITEMS, epoch, epoch)
call('HSET', UUIDS, uuid, epoch)
call('ZADD', SLOT_RUNS, 0, slot .. ':' .. string.format('%010d', tonumber(generation)) .. ':' .. epoch)
return {'started', show(epoch)}
