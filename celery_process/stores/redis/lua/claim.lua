#!lua
-- include: basics states items
-- Claim items; the answers are those of `rules.claim_answer`, a line each: the word and, if it is
-- "claimed", the list, the attempt, and the version and text of the params.
-- ARGV: time, epoch, run, token, lease, attempts, name…
local found = call('HMGET', run_key(epoch), 'id', 'state', 'defaults', 'slot', 'generation', 'started', 'open')
if found[1] ~= ARGV[3] then return {} end
local state, token, now = found[2], ARGV[4], clock()
local lease, attempts, names = tonumber(ARGV[5]), tonumber(ARGV[6]), given(7)
local process = call('HMGET', PROCESS, 'paused', 'settings', 'sv', 'limits')
local works = many('HMGET', WORKS, names)
load(names)

local function answer(item, mine, listed)
  local is = item[STATE]
  if is == 'c' and mine then return 'claimed' end
  if is == 'x' then return 'aborted' end
  if is == 'r' then return 'removed' end
  if not is_open(item) then return 'done' end
  if state == 'ABORTING' then return 'aborted' end
  if process[1] then return 'paused' end
  if is == 'c' and not (expired(item, now) and tonumber(item[ATTEMPT]) < attempts) then return 'busy' end
  return listed and 'claimed' or 'removed'
end

-- The answer for items with this record and this registration, and their new record.
local function claimed(record, work)
  local item = item_of(record)
  local mine = item[STATE] == 'c' and item[TOKEN] == token
  work = work and split(work)
  local is = {said = answer(item, mine, work and work[1] == item[ON])}
  if is.said == 'paused' and item[STATE] == 'p' then
    item[SENT] = ''
    is.record = record_of(item)
  elseif is.said == 'removed' and is_open(item) then
    free(item)
    item[STATE], is.page = item_moved(item[STATE], 'r'), item[PAGE]
    is.record = record_of(item)
  elseif is.said == 'claimed' and work then
    if not mine then
      item[STATE], item[TOKEN], item[SEQUENCE] = item_moved(item[STATE], 'c'), token, '0'
      item[ATTEMPT], item[VERSION] = whole(tonumber(item[ATTEMPT]) + 1), work[3]
      item[STARTED], item[LEASE], item[SENDS] = whole(now), whole(now + lease), '0'
      item[TEXTS], item[ERRORS], item[RUN_TEXTS], item[RUN_ERRORS], item[STATS], item[RUN_STATS] = '0', '0', '0', '0', '', ''
      is.record = record_of(item)
    end
    is.said = 'claimed ' .. item[ON] .. ' ' .. item[ATTEMPT] .. ' ' .. work[3] .. ' ' .. work[4]
  end
  return is
end

local known, answers = {}, {}
for place, name in ipairs(names) do
  local record, work = records[name], works[place]
  if not record then
    answers[place] = ended_by(name) and 'done' or 'conflict'
  else
    local alike = record .. '\0' .. (work or '')
    local is = known[alike]
    if not is then
      is = claimed(record, work)
      known[alike] = is
    end
    answers[place] = is.said
    if is.record then change(name, is.record) end
    if is.page then over(is.page) end
  end
end
save(found[7])
return {{found[3], found[4], found[5], found[6], process[2], process[3], process[4]}, due, join(answers)}
