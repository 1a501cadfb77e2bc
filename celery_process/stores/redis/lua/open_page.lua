#!lua
-- include: basics showing
-- Enlist the next names of a run as a page. ARGV: time, epoch, run, token, size, window, names to look at, items a second or
-- empty or inf, microseconds within which a caller comes back.
local epoch, token, size, budget = ARGV[2], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[7])
local run = call('HMGET', run_key(epoch), 'id', 'cur', 'cursor', 'listed', 'redrives', 'pages', 'open', 'state')
if run[1] ~= ARGV[3] then return {'closed'} end
local known = call('HGET', pages_key(epoch), 't' .. token)
if known then
  local names, parts = names_of(call('HGET', pages_key(epoch), 'p' .. known))
  return {'opened', parts[1], names}
end
if walk_over(run[8], run[2]) then return {'ended'} end
local process = call('HMGET', PROCESS, 'paused', 'limits', 'pace')
if process[1] then return {'paused'} end
local window, rate = tonumber(ARGV[6]), ARGV[8] ~= 'inf' and tonumber(ARGV[8])
if process[2] then
  local limits = split(process[2])
  window = tonumber(limits[1]) or window
  local number, unit = string.match(limits[2], '^(.+)/(.)$')
  if number and ARGV[8] ~= 'inf' then rate = tonumber(number) / ({s = 1, m = 60, h = 3600})[unit] end
end
if rate == 0 then rate = nil end
-- Two pages fit into a window; under a rate, a page has the items of a second.
if rate then size = math.max(1, math.min(size, math.floor(rate))) end
size = math.max(1, math.min(size, math.floor(window / 2)))
if tonumber(run[7]) + size > window then return {'full'} end
hashes(items_key(epoch))
sets(open_key(epoch))

local before, now = {}, clock()
for other in string.gmatch(run[5], '%d+') do
  local found = call('HMGET', run_key(other), 'cur', 'cursor')
  before[#before + 1] = {items = items_key(other), cur = found[1], cursor = found[2]}
end

-- `<=` would compare by the locale of the server, and lists are in the order of their bytes.
local function up_to(name, last)
  for place = 1, #name do
    local one, other = string.byte(name, place), string.byte(last, place) or -1
    if one ~= other then return one < other end
  end
  return true
end

-- Whether a closed run completed a name of a list: it did if it walked past the name and keeps no item of it.
local function completed(run_before, record, on, name)
  if record then return string.sub(record, 1, 5) == 'd\nC\n' .. on end
  if run_before.cur == on then return up_to(name, run_before.cursor) end
  return run_before.cur == '' or (run_before.cur == 'c' and on == 'a')
end

-- The version and time of registrations, which many names have in common.
local read = {}
local function registered(record)
  local is = read[record]
  if not is then
    local listed, version = string.match(record, '^%a\n(%d+)\n(%d+)\n')
    -- `rules.listed_for`: a time ahead of the clock was written under a clock that was wrong.
    is = {wanted = tonumber(listed) <= tonumber(run[4]) or tonumber(listed) > now, version = version}
    read[record] = is
  end
  return is
end

-- Names of the list that this run has not enlisted: one moved from the active list, behind the cursor, has an item or, if
-- that was folded, a status of this epoch.
local function wanted(names, on)
  local works, out = many('HMGET', WORKS, names), {}
  if on == 'c' then
    local statuses = many('HMGET', STATUSES, names)
    for place, record in ipairs(many('HMGET', items_key(epoch), names)) do
      out[place] = record or (statuses[place] and string.match(statuses[place], '^%d+\n(%d+)\n') == epoch)
    end
  end
  for _, run_before in ipairs(before) do
    for place, record in ipairs(many('HMGET', run_before.items, names)) do
      if completed(run_before, record, on, names[place]) then out[place] = true end
    end
  end
  local chosen, versions = {}, {}
  for place, name in ipairs(names) do
    local is = works[place] and not out[place] and registered(works[place])
    if is and is.wanted then chosen[#chosen + 1], versions[#versions + 1] = name, is.version end
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

if rate then
  -- As `Pace` has it: a page takes as long as its items at this rate, at most as many as one has now.
  local function page_time(items)
    return math.ceil(math.min(items, math.max(1, math.floor(rate))) * 1000000 / rate)
  end
  local due = now
  if process[3] then
    local at, items, awaited = unpack(split(process[3]))
    if now >= tonumber(at) then
      due = tonumber(at) + page_time(tonumber(items))
      if due > now then
        local mine = epoch .. ':' .. token
        local taken = string.sub(awaited, 1, #epoch + 1) == epoch .. ':' and awaited ~= mine
        if taken or due - now > tonumber(ARGV[9]) then return {'waiting'} end
        call('HSET', PROCESS, 'pace', join({at, items, mine}))
        return {'later', whole(due - now)}
      end
      due = math.max(due, now - page_time(#names))
    end
  end
  call('HSET', PROCESS, 'pace', join({whole(due), #names, ''}))
end

local page = run[6]
local fields = {}
local first, last = 'p\n\n' .. on .. '\n\n\n\n' .. page .. '\n', '\n0\n0\n\n\n\n\n0'
for place, name in ipairs(names) do
  fields[2 * place - 1], fields[2 * place] = name, first .. versions[place] .. last
end
local counted = {'cur', on, 'cursor', names[#names], 'pages', whole(tonumber(page) + 1), 'open',
  whole(tonumber(run[7]) + #names)}
local record = join({on, whole(clock()), token, unpack(names)})
-- A value of more than 64 bytes makes the hash a table from the start, in which a name is found at once; no item is called ''.
call('HSET', items_key(epoch), '', string.rep(' ', 65), unpack(fields))
call('HSET', pages_key(epoch), 'p' .. page, record, 'c' .. page, #names, 't' .. token, page)
call('ZADD', open_key(epoch), page, page)
call('HSET', run_key(epoch), unpack(counted))
return {'opened', on, names}
