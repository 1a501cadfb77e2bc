#!lua flags=no-writes
-- include: basics items showing
-- Return what is pending on a page and when an item of it was last claimed, to decide what is published again.
-- ARGV: time, epoch, run, page.
local found = call('HMGET', run_key(epoch), 'id', 'state', 'progress')
if found[1] ~= ARGV[3] or found[2] ~= 'ACTIVE' or call('HGET', PROCESS, 'paused') then return {} end
local page = ARGV[4]
if not call('ZSCORE', open_key(epoch), page) then return {} end
local names, parts = names_of(call('HGET', pages_key(epoch), 'p' .. page))
load(names)
local pending, seen = {}, tonumber(found[3])
for _, name in ipairs(names) do
  local item = item_of(records[name])
  if item[STARTED] ~= '' then seen = math.max(seen, tonumber(item[STARTED])) end
  if item[STATE] == 'p' then pending[#pending + 1] = {name, item[ATTEMPT], item[SENT], item[SENDS]} end
end
return {whole(clock()), whole(seen), parts[1], parts[2], pending}
