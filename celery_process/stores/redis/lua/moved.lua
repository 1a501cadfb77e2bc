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
local seen, known = tonumber(found[3]), {}
for _, name in ipairs(names) do
  local record = records[name]
  if not known[record] then
    known[record] = true
    local started = item_of(record)[STARTED]
    if started ~= '' then seen = math.max(seen, tonumber(started)) end
  end
end
return {whole(clock()), whole(seen)}
