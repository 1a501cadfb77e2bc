#!lua
-- include: basics items
-- Note that messages for open items were sent. ARGV: time, epoch, run, name…
local found = call('HMGET', run_key(epoch), 'id', 'open')
if found[1] ~= ARGV[3] then return end
local names, now = given(4), whole(clock())
load(names)
for _, name in ipairs(names) do
  local item = items[name]
  if item and is_open(item) then
    item[SENT], item[SENDS] = now, whole(tonumber(item[SENDS]) + 1)
    change(name)
  end
end
save(found[2])
