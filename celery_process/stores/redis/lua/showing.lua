-- A run as people see it: its hash and, while it is open, the items of its open pages, which the window bounds.
local function names_of(record)
  local parts = split(record)
  local names = {}
  for place = 4, #parts do names[#names + 1] = parts[place] end
  return names, parts
end

-- Whether a run in this state, whose cursor is on this list, enlists nothing more.
local function walk_over(state, cur) return cur == '' or state ~= 'ACTIVE' end

local function show(epoch)
  local run = call('HGETALL', run_key(epoch))
  if #run == 0 then return false end
  local pending, claimed, ended = 0, 0, {}
  for _, page in ipairs(call('ZRANGE', open_key(epoch), 0, -1)) do
    local names = names_of(call('HGET', pages_key(epoch), 'p' .. page))
    for _, record in ipairs(many('HMGET', items_key(epoch), names)) do
      local state = string.byte(record)
      if state == 112 then
        pending = pending + 1
      elseif state == 99 then
        claimed = claimed + 1
      else
        ended[#ended + 1] = record
      end
    end
  end
  return {run, pending, claimed, ended}
end
