#!lua
-- include: basics items showing
-- Mark items of a page that waited long enough as unpublished, as `rules.published_again` decides. ARGV: time, epoch, run,
-- page, when the run last progressed, then the latest publish times, a number for 0, 1, 2, … dispatches and the last for all
-- that follow: of items that were published since, and of others.
local found = call('HMGET', run_key(epoch), 'id', 'state', 'open')
if found[1] ~= ARGV[3] or found[2] ~= 'ACTIVE' then return 0 end
local page, seen, now = ARGV[4], tonumber(ARGV[5]), clock()
if not call('ZSCORE', open_key(epoch), page) then return 0 end

local function numbers(text)
  local all = {}
  for number in string.gmatch(text, '%-?%d+') do all[#all + 1] = tonumber(number) end
  return all
end

local still, moved = numbers(ARGV[6]), numbers(ARGV[7])
local function is_due(item)
  if item[STATE] ~= 'p' or item[SENT] == '' then return false end
  local sent, waits = tonumber(item[SENT]), still
  if sent < seen then waits = moved end
  return sent > now or sent <= waits[math.min(tonumber(item[SENDS]) + 1, #waits)]
end

local names = names_of(call('HGET', pages_key(epoch), 'p' .. page))
load(names)
local known = {}
for _, name in ipairs(names) do
  local record = records[name]
  if known[record] == nil then
    local item = item_of(record)
    local due = is_due(item)
    item[SENT] = ''
    known[record] = due and record_of(item)
  end
  if known[record] then change(name, known[record]) end
end
save(found[3])
return 0
