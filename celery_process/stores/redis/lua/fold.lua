#!lua
-- include: basics showing
-- Close a page that has nothing open any more, keep the statuses of its items, and close the run with it if it is due.
-- The page goes, with the items that completed: their statuses stand for them. The others stay for a redrive.
-- ARGV: the time of the facts, epoch, run, page (empty: the close alone), fold, counts, stats; to close as well: the state
-- as it was read, then state, reason, stats and aggregate as they become.
local epoch, page = ARGV[2], ARGV[4]
local run = call('HMGET', run_key(epoch), 'id', 'state', 'cur', 'fold')
if run[1] ~= ARGV[3] then return {'over'} end
local open = call('ZCARD', open_key(epoch)) - (page == '' and 0 or 1)
-- Nothing of a page is opened again, and each fold counts on: till then the facts of a page hold. Nor can the errors of a
-- run change that has nothing open, or the aggregate, before it closes.
local closing = #ARGV > 7
if run[4] ~= ARGV[5] or closing ~= (walk_over(run[2], run[3]) and open == 0) then return {'late'} end
if closing and run[2] ~= ARGV[8] then return {'late'} end
hashes(items_key(epoch), STATUSES)
sets(UNTOLD)

local names, parts = {}, {}
if page ~= '' then names, parts = names_of(call('HGET', pages_key(epoch), 'p' .. page)) end
local items, gone, statuses = {}, {}, {}
local kept = many('HMGET', STATUSES, names)
local OUTCOMES = {x = 'A', l = 'I'}
for place, record in ipairs(many('HMGET', items_key(epoch), names)) do
  local item = split(record)
  if item[1] == 'd' and item[2] == 'C' then
    gone[#gone + 1] = names[place]
  else
    items[#items + 1], items[#items + 2] = names[place], join({item[1], item[2], item[3], item[4]})
  end
  local later = kept[place] and tonumber(string.match(kept[place], '^%d+\n(%d+)\n')) > tonumber(epoch)
  if item[1] ~= 'r' and not later then
    local outcome = OUTCOMES[item[1]] or item[2]
    statuses[#statuses + 1] = names[place]
    statuses[#statuses + 1] = join({item[6], epoch, outcome, item[7], item[10], item[11], item[14], item[15], item[21], item[23]})
  end
end
local now, fold, next_version = ARGV[1], whole(tonumber(run[4]) + 1), whole(tonumber(call('HGET', PROCESS, 'v') or 0) + 1)

many('HSET', items_key(epoch), items)
many('HDEL', items_key(epoch), gone)
many('HSET', STATUSES, statuses)
if page ~= '' then
  call('ZREM', open_key(epoch), page)
  call('HDEL', pages_key(epoch), 'p' .. page, 'c' .. page, 't' .. parts[3])
  call('HSET', run_key(epoch), 'fold', fold, 'counts', ARGV[6], 'stats', ARGV[7], 'progress', now)
end
if not closing then return {'folded'} end
call('HSET', run_key(epoch), 'state', ARGV[9], 'reason', ARGV[10], 'stats', ARGV[11], 'finished', now, 'progress', now)
call('HSET', PROCESS, 'aggregate', ARGV[12], 'purge', '1', 'v', next_version)
call('HDEL', PROCESS, 'run')
call('ZADD', UNTOLD, now, epoch)
return {'closed', call('HGETALL', run_key(epoch))}
