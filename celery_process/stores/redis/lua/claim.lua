#!lua
-- include: basics items
-- Take the right to work on items; the answers are those of `rules.claim_answer`.
-- ARGV: time, epoch, run, token, lease, attempts, name…
local found = call('HMGET', run_key(epoch), 'id', 'state', 'defaults', 'slot', 'generation', 'started', 'open')
if found[1] ~= ARGV[3] then return {} end
local state, token, now = found[2], ARGV[4], clock()
local lease, attempts, names = tonumber(ARGV[5]), tonumber(ARGV[6]), given(7)
local process = call('HMGET', PROCESS, 'paused', 'settings', 'sv')
local works = many('HMGET', WORKS, names)
hashes(STATUSES)
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

local answers = {}
for place, name in ipairs(names) do
  local item = items[name]
  if not item then
    answers[place] = {ended_by(name) and 'done' or 'conflict'}
  else
    local work = works[place] and split(works[place])
    local mine = item[TOKEN] == token
    local said = answer(item, mine, work and work[1] == item[ON])
    answers[place] = {said}
    if said == 'paused' and item[STATE] == 'p' then
      item[SENT] = ''
      change(name)
    elseif said == 'removed' and is_open(item) then
      free(item)
      over(item, 'r')
      change(name)
    elseif said == 'claimed' and work then
      if not mine then
        item[STATE], item[TOKEN], item[SEQUENCE] = 'c', token, '0'
        item[ATTEMPT], item[VERSION] = whole(tonumber(item[ATTEMPT]) + 1), work[3]
        item[STARTED], item[LEASE] = whole(now), whole(now + lease)
        item[TEXTS], item[ERRORS], item[RUN_TEXTS], item[RUN_ERRORS], item[STATS], item[RUN_STATS] = '0', '0', '0', '0', '', ''
        change(name)
      end
      answers[place] = {said, item[ON], item[ATTEMPT], work[4], work[3]}
    end
  end
end
save(found[7])
return {{found[3], found[4], found[5], found[6], process[2], process[3]}, due, answers}
