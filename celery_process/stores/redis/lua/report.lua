#!lua
-- include: basics items faults
-- Write the totals of claimed items, charge their errors, end those with an outcome, drop a clean cleanup.
-- ARGV: time, epoch, run, token, lease, then for each report: name, sequence, outcome, stats, stats of the run, versions of
-- params and settings, errors of the item and of the run, how many texts of each, attempt, and two parts a text around its
-- time.
if not load_run() then return {} end
local token, lease, now = ARGV[4], tonumber(ARGV[5]), clock()
local process = call('HMGET', PROCESS, 'settings', 'sv')
hashes(STATUSES)
sets(LISTS.c, LISTS.d, DROPPED_AT)

local reports, names, at = {}, {}, 6
while at <= #ARGV do
  local report = {name = ARGV[at], sequence = tonumber(ARGV[at + 1]), outcome = ARGV[at + 2], stats = ARGV[at + 3],
    run_stats = ARGV[at + 4], version = ARGV[at + 5], settings_version = ARGV[at + 6], errors = tonumber(ARGV[at + 7]),
    run_errors = tonumber(ARGV[at + 8]), texts = tonumber(ARGV[at + 9]), run_texts = tonumber(ARGV[at + 10]),
    attempt = ARGV[at + 11], at = at + 12}
  reports[#reports + 1], names[#names + 1] = report, report.name
  at = report.at + 2 * (report.texts + report.run_texts)
end
load(names)
local works, drops = {}, {}
for place, record in ipairs(many('HMGET', WORKS, names)) do
  works[names[place]] = works[names[place]] or (record and split(record))
end

local function entry_at(place) return ARGV[place] .. whole(now) .. ARGV[place + 1] end

local function count(item, report)
  local of_work = math.max(report.errors - tonumber(item[ERRORS]), 0)
  local of_run = math.max(report.run_errors - tonumber(item[RUN_ERRORS]), 0)
  for text = tonumber(item[TEXTS]), report.texts - 1 do
    local entry = entry_at(report.at + 2 * text)
    keep_entry(item, entry)
    keep_in_run(entry)
  end
  for text = tonumber(item[RUN_TEXTS]), report.run_texts - 1 do
    keep_in_run(entry_at(report.at + 2 * (report.texts + text)))
  end
  item[TEXTS], item[ERRORS] = whole(report.texts), whole(report.errors)
  item[RUN_TEXTS], item[RUN_ERRORS] = whole(report.run_texts), whole(report.run_errors)
  item[STATS], item[RUN_STATS], item[SEQUENCE] = report.stats, report.run_stats, whole(report.sequence)
  charge(item, of_work, of_run, now)
end

local function drop(name, item)
  local work = works[name]
  local clean = item[OUTCOME] == 'C' and item[ON] == 'c' and item[ERRORS] == '0'
  if clean and work and work[1] == 'c' and work[3] == item[VERSION] then
    work[1], work[2] = 'd', whole(now)
    drops[#drops + 1] = name
  end
end

local function answer(item, report)
  if run.state == 'ABORTING' then return {'Aborted'} end
  local work = works[report.name]
  local version = work and work[1] == item[ON] and work[3] or report.version
  local settings_version = process[2] or '0'
  if version == report.version and settings_version == report.settings_version then return {'Updated'} end
  return {'Merged', work and work[4] or '{}', version}
end

local answers = {}
for place, report in ipairs(reports) do
  local item = items[report.name]
  if not item then
    local repeated = report.outcome ~= '' and report.attempt ~= '0' and ended_by(report.name) == report.attempt
    answers[place] = {repeated and 'Completed' or 'Conflict'}
  elseif item[TOKEN] ~= token or (item[STATE] ~= 'c' and item[STATE] ~= 'd') then
    answers[place] = {'Conflict'}
  elseif item[STATE] == 'd' then
    answers[place] = {'Completed'}
    -- Whoever ended the page's last item may have died before the fold.
    if item[PAGE] and not left[item[PAGE]] and left_of(item[PAGE]) == 0 then due[#due + 1] = item[PAGE] end
  elseif report.sequence <= tonumber(item[SEQUENCE]) then
    answers[place] = answer(item, report)
  else
    count(item, report)
    item[LEASE] = whole(now + lease)
    change(report.name)
    if report.outcome == '' then
      answers[place] = answer(item, report)
    else
      item[OUTCOME] = report.outcome
      item[FINISHED] = report.outcome == 'I' and '' or whole(now)
      over(item, 'd')
      drop(report.name, item)
      answers[place] = {'Completed'}
    end
  end
end

save(run.open)
save_run()
for _, name in ipairs(drops) do
  call('HSET', WORKS, name, join(works[name]))
  call('ZREM', LISTS.c, name)
  call('ZADD', LISTS.d, 0, name)
  call('ZADD', DROPPED_AT, whole(now), name)
end
return {{call('HGET', run_key(epoch), 'defaults'), process[1], process[2]}, due, answers, aborted_here(),
  run.state == 'ABORTING' and 1 or 0}
