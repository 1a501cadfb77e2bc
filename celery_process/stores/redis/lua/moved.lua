#!lua flags=no-writes
-- include: basics items showing
-- Return the time and when the run, as a page of it has it, was last seen to move; nothing where none of it is to be published.
-- ARGV: time, epoch, run, page.
local found = call('HMGET', run_key(epoch), 'id', 'state', 'progress')
if found[1] ~= ARGV[3] or found[2] ~= 'ACTIVE' or call('HGET', PROCESS, 'paused') then return {} end
local page = ARGV[4]
if not call('ZSCORE', open_key(epoch), page) then return {} end
local names = names_of(call('HGET', pages_key(epoch), 'p' .. page))
load(names)
local now, seen, known = clock(), 0, {}
local function look(at)  -- `rules.seen_moving`
  if at and at <= now then seen = math.max(seen, at) end
end
look(tonumber(found[3]))
for _, name in ipairs(names) do
  local record = records[name]
  if not known[record] then
    known[record] = true
    look(tonumber(item_of(record)[STARTED]))
  end
end
return {whole(now), whole(seen)}
