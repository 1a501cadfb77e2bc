#!lua
-- include: basics
-- Put names on the active list with their params, or on the cleanup list with those they have; return what changed.
-- ARGV: time, list, then name and params, or names.
local on, now = ARGV[2], clock()
local step = on == 'a' and 2 or 1
local names = {}
for place = 3, #ARGV, step do names[#names + 1] = ARGV[place] end
local newest = tonumber(call('HGET', PROCESS, 'newest') or 0)
sets(LISTS.a, LISTS.c, LISTS.d, DROPPED_AT)
local found = many('HMGET', WORKS, names)
local changed, records, added, gone = {}, {}, {}, {a = {}, c = {}, d = {}}
for place, name in ipairs(names) do
  local work = found[place] and split(found[place])
  local params = on == 'a' and ARGV[2 + 2 * place] or (work and work[4] or '{}')
  local same = work and ((on == 'c' and work[1] ~= 'a') or (on == 'a' and work[1] == 'a' and work[4] == params))
  if not same then
    local listed = work and work[1] == on and work[2] or whole(now)
    local version = math.max(now, work and tonumber(work[3]) + 1 or 0)
    newest = math.max(newest, version)
    changed[#changed + 1] = name
    records[#records + 1], records[#records + 2] = name, join({on, listed, whole(version), params})
    if not work or work[1] ~= on then
      added[#added + 1], added[#added + 2] = 0, name
      if work then gone[work[1]][#gone[work[1]] + 1] = name end
    end
  end
end
if #changed == 0 then return {} end
call('HSET', WORKS, unpack(records))
many('ZADD', LISTS[on], added)
for list, names_of_list in pairs(gone) do many('ZREM', LISTS[list], names_of_list) end
many('ZREM', DROPPED_AT, gone.d)
call('HSET', PROCESS, 'newest', whole(newest))
return changed
