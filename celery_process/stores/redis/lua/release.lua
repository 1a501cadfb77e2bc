#!lua
-- include: basics states items
-- Return claimed items that were not started. ARGV: time, epoch, run, token, name…
local found = call('HMGET', run_key(epoch), 'id', 'state', 'open')
if found[1] ~= ARGV[3] then return {} end
local names = given(5)
load(names)
for _, name in ipairs(names) do
  local item = records[name] and item_of(records[name])
  if item and is_open(item) and item[TOKEN] == ARGV[4] then
    item[ATTEMPT] = whole(tonumber(item[ATTEMPT]) - 1)
    free(item)
    item[STATE] = item_moved(item[STATE], found[2] == 'ACTIVE' and 'p' or 'x')
    if item[STATE] == 'x' then over(item[PAGE]) end
    change(name, record_of(item))
  end
end
save(found[3])
return due
