#!lua flags=no-writes
-- include: basics items showing
-- Return the list of a page, then name and attempt of each item that is pending and unpublished; of never claimed
-- items none if the page is younger than the grace. ARGV: time, epoch, run, page, grace.
if call('HGET', run_key(epoch), 'id') ~= ARGV[3] then return {} end
local page = ARGV[4]
if not call('ZSCORE', open_key(epoch), page) then return {} end
local names, parts = names_of(call('HGET', pages_key(epoch), 'p' .. page))
local old = passed(tonumber(parts[2]), clock(), tonumber(ARGV[5]))
load(names)
local found, known = {parts[1]}, {}
for _, name in ipairs(names) do
  local record = records[name]
  if known[record] == nil then
    local item = item_of(record)
    known[record] = item[STATE] == 'p' and item[SENT] == '' and (old or tonumber(item[ATTEMPT]) > 0) and item[ATTEMPT]
  end
  if known[record] then found[#found + 1], found[#found + 2] = name, known[record] end
end
return found
