#!lua
-- include: basics showing
-- Enlist the next names of a run as a page. ARGV: time, epoch, run, token, size, window, names to look at.
local epoch, token, size, budget = ARGV[2], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[7])
local run = call('HMGET', run_key(epoch), 'id', 'cur', 'cursor', 'listed', 'redrives', 'pages', 'open')
if run[1] ~= ARGV[3] then return {'closed'} end
local known = call('HGET', pages_key(epoch), 't' .. token)
if known then
  local names, parts = names_of(call('HGET', pages_key(epoch), 'p' .. known))
  return {'opened', parts[1], names}
end
if run[2] == '' then return {'ended'} end  -- as in a run that is ABORTING or over
if call('HGET', PROCESS, 'paused') then return {'paused'} end
if tonumber(run[7]) + size > tonumber(ARGV[6]) then return {'full'} end
hashes(items_key(epoch))
sets(open_key(epoch))

local before = {}
for other in string.gmatch(run[5], '%d+') do before[#before + 1] = items_key(other) end

-- Names of the list that this run has not had: a status of this epoch is an item's that was folded and may be gone.
local function wanted(names, on)
  local works, mine = many('HMGET', WORKS, names), many('HMGET', items_key(epoch), names)
  local statuses = many('HMGET', STATUSES, names)
  local out, done = {}, 'd\nC\n' .. on
  for _, key in ipairs(before) do
    for place, record in ipairs(many('HMGET', key, names)) do
      if record and string.sub(record, 1, 5) == done then out[place] = true end
    end
  end
  local chosen, versions = {}, {}
  for place, name in ipairs(names) do
    local _, _, listed, version = string.find(works[place] or '', '^%a\n(%d+)\n(%d+)\n')
    local had = statuses[place] and string.match(statuses[place], '^%d+\n(%d+)\n') == epoch
    if listed and tonumber(listed) <= tonumber(run[4]) and not mine[place] and not had and not out[place] then
      chosen[#chosen + 1], versions[#versions + 1] = name, version
    end
  end
  return chosen, versions
end

local on, after = run[2], run[3]
local names, versions = {}, {}
local step = math.min(math.max(size, 32), 500)
while on ~= '' and #names < size do
  local listed = call('ZRANGEBYLEX', LISTS[on], '(' .. after, '+', 'LIMIT', 0, step)
  local chosen, of_them = wanted(listed, on)
  for place = 1, math.min(#chosen, size - #names) do
    names[#names + 1], versions[#versions + 1] = chosen[place], of_them[place]
  end
  budget = budget - #listed
  if #listed == step then
    after = listed[#listed]
    if budget <= 0 then break end
  elseif #names > 0 then
    break
  elseif on == 'a' and call('ZCARD', open_key(epoch)) > 0 then
    return {'waiting'}
  else
    on, after = on == 'a' and 'c' or '', ''
  end
end
if #names == 0 then
  call('HSET', run_key(epoch), 'cur', on, 'cursor', after)
  return {on == '' and 'ended' or 'again'}
end

local page = run[6]
local fields = {}
for place, name in ipairs(names) do
  fields[2 * place - 1] = name
  fields[2 * place] = 'p\n\n' .. on .. '\n\n' .. page .. '\n' .. versions[place]
    .. '\n0\n0\n\n\n\n\n0\n0\n\n0\n0\n0\n0\n0\n\n\n'
end
local counted = {'cur', on, 'cursor', names[#names], 'pages', whole(tonumber(page) + 1), 'open',
  whole(tonumber(run[7]) + #names)}
local record = join({on, whole(clock()), token, unpack(names)})
call('HSET', items_key(epoch), unpack(fields))
call('HSET', pages_key(epoch), 'p' .. page, record, 'c' .. page, #names, 't' .. token, page)
call('ZADD', open_key(epoch), page, page)
call('HSET', run_key(epoch), unpack(counted))
return {'opened', on, names}
