#!lua
-- include: basics states items showing
-- Close a page without open items, keep the statuses of its items, and close the run if that was its last page.
-- The page is deleted with the items that completed: only their statuses are kept. The other items stay for a redrive.
-- ARGV: time, epoch, run, page (empty: the close alone); then what was worked out from the facts of an earlier call, at their
-- time: fold, counts, stats; to close as well: the state as it was read, then state, reason, stats and aggregate as they
-- become. Answers "over", "folded", "closed" and the run, or "facts", where numbers are to be added up first.
local page, worked_out = ARGV[4], #ARGV > 4
local run = call('HMGET', run_key(epoch), 'id', 'state', 'cur', 'fold', 'reason', 'counts', 'stats', 'total_errors', 'started',
  'done_a', 'done_c')
local state, fold = run[2], run[4]
if run[1] ~= ARGV[3] or (state ~= 'ACTIVE' and state ~= 'ABORTING') then return {'over'} end
if page ~= '' and call('HGET', pages_key(epoch), 'c' .. page) ~= '0' then return {'over'} end
local closing = walk_over(state, run[3]) and call('ZCARD', open_key(epoch)) == (page == '' and 0 or 1)
if page == '' and not closing then return {'over'} end

local names, parts = {}, {}
if page ~= '' then names, parts = names_of(call('HGET', pages_key(epoch), 'p' .. page)) end
local ended_items, groups = many('HMGET', items_key(epoch), names), {}

-- A page of items that all completed without stats is counted here; the others where numbers are exact.
if not worked_out then count_groups(groups, {}, {}, ended_items) end
local on = parts[1]
local plain = not closing and groups[1] == 'd\nC\n' .. (on or '') .. '\n\n\n' and #groups == 2
-- Nothing of a page is opened again, and each fold counts on: till then the facts of a page hold. Nor can the errors of a
-- run change that has nothing open, or the aggregate, before it closes.
local holds = fold == ARGV[5] and closing == (#ARGV > 7) and (not closing or state == ARGV[8])
if not plain and not (worked_out and holds) then
  if worked_out then count_groups(groups, {}, {}, ended_items) end
  return {'facts', whole(clock()), run, closing and 1 or 0, groups, call('HGET', PROCESS, 'aggregate') or ''}
end
hashes(STATUSES)
sets(open_key(epoch), UNTOLD)
if closing then run_moved(state, ARGV[9]) end

-- What is kept of an item: a short record unless it completed, and a status, in which only its stats are its own.
local OUTCOMES, known, alike, earlier = {x = 'A', l = 'I'}, {}, {}, {}
local function left_of_all(record)
  local item, is = item_of(record), {}
  local state, outcome = item[STATE], item[OUTCOME]
  if state ~= 'd' or outcome ~= 'C' then is.item = join({state, outcome, item[ON], '', '', item[TOKEN]}) end
  if state ~= 'r' then
    is.before = join({item[VERSION], epoch, OUTCOMES[state] or outcome, item[ATTEMPT], item[STARTED], item[FINISHED], ''})
    is.after = join({'', item[COUNT], item[ERROR_AT], item[ENTRIES], item[TOKEN]})
  end
  return is
end

local function left_behind(record)
  local first, stats, last = string.match(record, '^(%a\n%a?\n%a\n)([^\n]*)(.*)$')
  local is = alike[first .. last]
  if not is then
    is = left_of_all(record)
    alike[first .. last] = is
  end
  return {item = is.item, status = is.before and is.before .. stats .. is.after}
end

local function is_later(status)
  return tonumber(string.match(status, '^%d+\n(%d+)\n')) > tonumber(epoch)
end

local items, gone, statuses = {}, {}, {}
local kept = many('HMGET', STATUSES, names)
for place, record in ipairs(ended_items) do
  local is, name, before = known[record], names[place], kept[place]
  if not is then
    is = left_behind(record)
    known[record] = is
  end
  if is.item then
    items[#items + 1], items[#items + 2] = name, is.item
  else
    gone[#gone + 1] = name
  end
  if before and earlier[before] == nil then earlier[before] = not is_later(before) end
  if is.status and (not before or earlier[before]) then
    statuses[#statuses + 1], statuses[#statuses + 2] = name, is.status
  end
end
local next_fold, next_version = whole(tonumber(fold) + 1), whole(tonumber(call('HGET', PROCESS, 'v') or 0) + 1)
local now = worked_out and ARGV[1] or whole(clock())

many('HSET', items_key(epoch), items)
many('HDEL', items_key(epoch), gone)
many('HSET', STATUSES, statuses)
if page ~= '' then
  call('ZREM', open_key(epoch), page)
  call('HDEL', pages_key(epoch), 'p' .. page, 'c' .. page, 't' .. parts[3])
  call('HSET', run_key(epoch), 'fold', next_fold, 'progress', now)
end
if plain then
  call('HINCRBY', run_key(epoch), 'done_' .. on, #names)
else
  call('HSET', run_key(epoch), 'counts', ARGV[6], 'stats', ARGV[7])
  call('HDEL', run_key(epoch), 'done_a', 'done_c')
end
if not closing then return {'folded'} end
call('HSET', run_key(epoch), 'state', ARGV[9], 'reason', ARGV[10], 'stats', ARGV[11], 'finished', now, 'progress', now)
call('HSET', PROCESS, 'aggregate', ARGV[12], 'purge', '1', 'v', next_version)
call('HDEL', PROCESS, 'run')
call('ZADD', UNTOLD, now, epoch)
return {'closed', call('HGETALL', run_key(epoch))}
