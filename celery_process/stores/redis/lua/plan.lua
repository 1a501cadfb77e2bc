#!lua flags=no-writes
-- include: basics showing
-- Return all that decides about a new run. ARGV: time, uuid, slot, and to redrive a run its epoch and id instead of a slot.
local slot, old = ARGV[3], {}
if ARGV[4] ~= '' then
  local run = call('HMGET', run_key(ARGV[4]), 'id', 'slot', 'redrives', 'listed', 'purged')
  if run[1] ~= ARGV[5] then return {} end
  local purged = run[5] == '1'
  for epoch in string.gmatch(run[3], '%d+') do
    local found = call('HMGET', run_key(epoch), 'id', 'purged')
    purged = purged or not found[1] or found[2] == '1'
  end
  slot, old = run[2], {run[3], run[4], purged and 1 or 0}
end
local process = call('HMGET', PROCESS, 'v', 'epoch', 'last', 'rule', 'paused', 'run', 'changed', 'sv', 'newest')
local mine = call('HGET', UUIDS, ARGV[2])
local last = call('ZREVRANGEBYLEX', SLOT_RUNS, '(' .. slot .. ';', '[' .. slot .. ':', 'LIMIT', 0, 1)[1]
local same = {}
if last then
  local epoch = string.match(last, '(%d+)$')
  same = call('HMGET', run_key(epoch), 'generation', 'state', 'started')
end
local earlier = call('ZREVRANGEBYLEX', SLOTS, '(' .. slot, '-', 'LIMIT', 0, 1)[1]
for place = 1, 9 do process[place] = process[place] or '' end
return {whole(clock()), process, mine and show(mine) or '', process[6] ~= '' and call('HGET', run_key(process[6]), 'id') or '', same,
  call('HGET', LEDGER, slot) or '', earlier or '', call('ZCARD', LISTS.a), slot, old}
