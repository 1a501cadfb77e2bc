#!lua
-- include: basics states items showing
-- Cancel what is pending on a page of a run that is ABORTING, with the flag what is claimed too; their tokens are void.
-- ARGV: time, epoch, run, page, flag. Returns 1 if nothing of the page is open any more.
local found = call('HMGET', run_key(epoch), 'id', 'open')
local page = ARGV[4]
if found[1] ~= ARGV[3] or not call('ZSCORE', open_key(epoch), page) then return 0 end
local names = names_of(call('HGET', pages_key(epoch), 'p' .. page))
load(names)
for _, name in ipairs(names) do
  local item = item_of(records[name])
  if item[STATE] == 'p' or (ARGV[5] == '1' and item[STATE] == 'c') then
    free(item)
    item[STATE] = item_moved(item[STATE], 'x')
    over(page)
    change(name, record_of(item))
  end
end
save(found[2])
return left_of(page) == 0 and 1 or 0
