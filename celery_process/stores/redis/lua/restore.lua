#!lua
-- include: basics history
-- Write what another store had of a process, and items of it; return 1 and write nothing while a run is open. ARGV: time,
-- force, epoch, last slot, aggregate, pause, note, by, version of the settings, changed, by, limits, settings and schedule,
-- each as a flag and a text; then for each item its name, list, time, version and params. An empty text is nothing.
local old = call('HMGET', PROCESS, 'run', 'epoch', 'last', 'settings', 'schedule', 'sv', 'newest', 'v')
if old[1] then return 1 end
sets(LISTS.a, LISTS.c, LISTS.d, DROPPED_AT)
begin_history()
local names = {}
for place = 17, #ARGV, 5 do names[#names + 1] = ARGV[place] end
local found = many('HMGET', WORKS, names)

local fields = {'v', whole(tonumber(old[8] or 0) + 1)}
local function set(name, text) fields[#fields + 1], fields[#fields + 2] = name, text end
if ARGV[3] ~= '' then set('epoch', whole(math.max(tonumber(ARGV[3]), tonumber(old[2] or 0)))) end
if ARGV[4] ~= '' and (not old[3] or ARGV[4] > old[3]) then set('last', ARGV[4]) end
set('aggregate', ARGV[5])
if ARGV[6] ~= '' then
  set('paused', ARGV[6])
  set('note', ARGV[7])
  set('paused_by', ARGV[8])
end

if ARGV[12] ~= '' then set('limits', ARGV[12]) end

local version, before = tonumber(ARGV[9]), tonumber(old[6] or 0)
local settings, schedule = ARGV[13] == '1' and ARGV[14], ARGV[15] == '1' and ARGV[16]
local same = old[4] == settings and old[5] == schedule
local gone = {}
if version > before or not same or (version == before and version > 0) then
  if not same and version <= before then version = before + 1 end
  set('sv', whole(version))
  if ARGV[10] ~= '' then set('changed', ARGV[10]) end
  set('changed_by', ARGV[11])
  if settings then set('settings', settings) else gone[#gone + 1] = 'settings' end
  if schedule then set('schedule', schedule) else gone[#gone + 1] = 'schedule' end
end

local newest, records = tonumber(old[7] or 0), {}
local lists, left, dropped = {a = {}, c = {}, d = {}}, {a = {}, c = {}, d = {}}, {}
for place, name in ipairs(names) do
  local from = 12 + 5 * place
  local on, listed, changed, params = ARGV[from + 1], ARGV[from + 2], tonumber(ARGV[from + 3]), ARGV[from + 4]
  local work = found[place] and split(found[place])
  local known = work and tonumber(work[3]) or -1
  if changed > known or (changed < known and ARGV[2] == '1') then
    changed = math.max(changed, known + 1)
    newest = math.max(newest, changed)
    records[#records + 1], records[#records + 2] = name, join({on, listed, whole(changed), params})
    if work then left[work[1]][#left[work[1]] + 1] = name end
    lists[on][#lists[on] + 1], lists[on][#lists[on] + 2] = 0, name
    if on == 'd' then dropped[#dropped + 1], dropped[#dropped + 2] = listed, name end
  end
end
if #records > 0 then
  call('HSET', WORKS, unpack(records))
  for list, names_of_list in pairs(left) do many('ZREM', LISTS[list], names_of_list) end
  many('ZREM', DROPPED_AT, left.d)
  for list, scores in pairs(lists) do many('ZADD', LISTS[list], scores) end
  many('ZADD', DROPPED_AT, dropped)
  set('newest', whole(newest))
end
call('HSET', PROCESS, unpack(fields))
if #gone > 0 then call('HDEL', PROCESS, unpack(gone)) end
if version > before then keep_version() end
return 0
