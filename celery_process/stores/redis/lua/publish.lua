#!lua
-- include: basics items
-- Note that messages for open items were sent. ARGV: time, epoch, run, name…
local found = call('HMGET', run_key(epoch), 'id', 'open')
if found[1] ~= ARGV[3] then return end
local names, now, known = given(4), whole(clock()), {}
load(names)

local function published(record)
  local item = item_of(record)
  if not is_open(item) then return false end
  item[SENT], item[SENDS] = now, whole(tonumber(item[SENDS]) + 1)
  return record_of(item)
end

for _, name in ipairs(names) do
  local record = records[name]
  if record then
    if known[record] == nil then known[record] = published(record) end
    if known[record] then change(name, known[record]) end
  end
end
save(found[2])
