#!lua
-- include: basics states items faults
-- Write the totals of claimed items, charge their errors, end those with an outcome, drop a clean cleanup.
-- ARGV: time, epoch, run, token, lease, then for each report: the name; lines of the sequence, outcome, attempt, versions of
-- params and settings, errors of the item and of the run, how many texts of each; lines of the stats and of those of the run;
-- and two parts a text around its time. Answers a line each: the word and, if it is "Merged", the version and text of the
-- params.
if not load_run() then return {} end
local token, lease, now = ARGV[4], tonumber(ARGV[5]), clock()
local process = call('HMGET', PROCESS, 'settings', 'sv')

local names, reports, stats, texts_at, read, at = {}, {}, {}, {}, {}, 6
while at <= #ARGV do
  local line = ARGV[at + 1]
  local report = read[line]
  if not report then
    local part = split(line)
    report = {line = line, sequence = tonumber(part[1]), outcome = part[2], attempt = part[3], version = part[4],
      settings_version = part[5], errors = tonumber(part[6]), run_errors = tonumber(part[7]), texts = tonumber(part[8]),
      run_texts = tonumber(part[9])}
    read[line] = report
  end
  local place = #names + 1
  names[place], reports[place], stats[place], texts_at[place] = ARGV[at], report, ARGV[at + 2], at + 3
  at = at + 3 + 2 * (report.texts + report.run_texts)
end
load(names)
local works, dropped = {}, {}
for place, record in ipairs(many('HMGET', WORKS, names)) do works[names[place]] = record end

local function entry_at(place) return ARGV[place] .. whole(now) .. ARGV[place + 1] end

-- Whether a report adds to the errors of its item and run; if it does not, what comes of it is the same for all alike.
local function adds(item, report)
  return report.errors > tonumber(item[ERRORS]) or report.run_errors > tonumber(item[RUN_ERRORS])
    or report.texts > tonumber(item[TEXTS]) or report.run_texts > tonumber(item[RUN_TEXTS])
end

local function count(name, item, report, from)
  local of_work = math.max(report.errors - tonumber(item[ERRORS]), 0)
  local of_run = math.max(report.run_errors - tonumber(item[RUN_ERRORS]), 0)
  for text = tonumber(item[TEXTS]), report.texts - 1 do
    local entry = entry_at(from + 2 * text)
    keep_entry(item, entry)
    keep_in_run(entry)
  end
  for text = tonumber(item[RUN_TEXTS]), report.run_texts - 1 do
    keep_in_run(entry_at(from + 2 * (report.texts + text)))
  end
  item[TEXTS], item[ERRORS] = whole(report.texts), whole(report.errors)
  item[RUN_TEXTS], item[RUN_ERRORS] = whole(report.run_texts), whole(report.run_errors)
  charge(name, item, of_work, of_run, now)
end

local merged = false
local function answer(item, report, work)
  if run.state == 'ABORTING' then return 'Aborted' end
  local version = work and work[1] == item[ON] and work[3] or report.version
  local settings_version = process[2] or '0'
  if version == report.version and settings_version == report.settings_version then return 'Updated' end
  merged = true
  return 'Merged ' .. version .. ' ' .. (work and work[4] or '{}')
end

-- The answer to a report for items with this record and this registration, and whether all equal items get the same.
local function reported(name, record, work, report, from)
  local item = item_of(record)
  work = work and split(work)
  if item[TOKEN] ~= token or not (is_open(item) or item[STATE] == 'd') then return {said = 'Conflict'}, true end
  if item[STATE] == 'd' then return {said = 'Completed', repeated = item[PAGE]}, true end
  if report.sequence <= tonumber(item[SEQUENCE]) then return {said = answer(item, report, work)}, true end
  local own = adds(item, report)
  count(name, item, report, from)
  item[STATE], item[SEQUENCE], item[LEASE] = item_moved(item[STATE], 'c'), whole(report.sequence), whole(now + lease)
  local is = {}
  if report.outcome == '' then
    is.said = answer(item, report, work)
  else
    item[STATE], item[OUTCOME], item[FINISHED] = item_moved(item[STATE], 'd'), report.outcome, report.outcome == 'I' and '' or whole(now)
    is.said, is.page = 'Completed', item[PAGE]
    local clean = report.outcome == 'C' and item[ON] == 'c' and item[ERRORS] == '0'
    if clean and work and work[1] == 'c' and work[3] == item[VERSION] then
      work[1], work[2] = 'd', whole(now)
      is.work = join(work)
    end
  end
  is.before, is.after = around_stats(item)
  return is, not own
end

local known, answers = {}, {}
for place, report in ipairs(reports) do
  local name = names[place]
  local record, work = records[name], works[name]
  if not record then
    local outcome, attempt = ended_by(name)
    local repeated = report.outcome ~= '' and outcome == 'C' and attempt == report.attempt and attempt ~= '0'
    answers[place] = repeated and 'Completed' or 'Conflict'
  else
    local alike = record .. '\0' .. report.line .. '\0' .. (work or '')
    local is, for_all = known[alike], false
    if not is then
      local was = run.state
      is, for_all = reported(name, record, work, report, texts_at[place])
      if run.state ~= was then known = {} end
      if for_all then known[alike] = is end
    end
    answers[place] = is.said
    if is.before then change(name, is.before .. stats[place] .. is.after) end
    if is.page then over(is.page) end
    if is.work then works[name], dropped[#dropped + 1] = is.work, name end
    -- The worker that ended the page's last item may have died before the fold.
    local page = is.repeated
    if page and not left[page] and left_of(page) == 0 then due[#due + 1] = page end
  end
end

if #dropped > 0 then sets(LISTS.c, LISTS.d, DROPPED_AT) end
save(run.open)
save_run()
for _, name in ipairs(dropped) do
  call('HSET', WORKS, name, works[name])
  call('ZREM', LISTS.c, name)
  call('ZADD', LISTS.d, 0, name)
  call('ZADD', DROPPED_AT, whole(now), name)
end
local settings = merged and {call('HGET', run_key(epoch), 'defaults'), process[1], process[2]} or {}
return {settings, due, join(answers), aborted_here(), run.state == 'ABORTING' and 1 or 0}
