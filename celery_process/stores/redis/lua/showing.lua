-- A run as people see it: its hash and, while it is open, the items of its open pages, which the window bounds.
local function names_of(record)
  local on, opened, token, names = string.match(record, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  return split(names), {on, opened, token}
end

-- Whether a run in this state, whose cursor is on this list, enlists nothing more.
local function walk_over(state, cur) return cur == '' or state ~= 'ACTIVE' end

-- Count records in groups of what they add to a run, in the order in which they come: to `groups`, each group's first
-- lines and its number. An open item adds nothing but itself.
local function count_groups(groups, places, of, found)
  for _, record in ipairs(found) do
    local lines = string.sub(record, 1, 1)
    if lines ~= 'p' and lines ~= 'c' then
      of[record] = of[record] or string.match(record, '^%a\n%a?\n%a\n[^\n]*\n[^\n]*\n')
      lines = of[record]
    end
    local place = places[lines]
    if not place then
      place = #groups + 1
      places[lines], groups[place], groups[place + 1] = place, lines, 0
    end
    groups[place + 1] = groups[place + 1] + 1
  end
end

-- `folded`: of the folded pages alone.
local function show(epoch, folded)
  local run = call('HGETALL', run_key(epoch))
  if #run == 0 then return false end
  local groups, places, of = {}, {}, {}
  for _, page in ipairs(folded and {} or call('ZRANGE', open_key(epoch), 0, -1)) do
    local names = names_of(call('HGET', pages_key(epoch), 'p' .. page))
    count_groups(groups, places, of, many('HMGET', items_key(epoch), names))
  end
  return {run, groups}
end
