#!lua flags=no-writes
-- include: basics
-- Return the newest entry of the ledger, whether any came by the schedule, and whether the process is paused. ARGV: time,
-- the `by` words of callers that claim slots by the schedule.
local words = {}
for _, word in ipairs(given(2)) do words[word] = true end
local newest = call('ZREVRANGEBYLEX', SLOTS, '+', '-', 'LIMIT', 0, 1)[1]
if not newest then return {} end

local function is_scheduled(record)
  local parts = record and split(record) or {}
  return #parts == 5 and words[parts[5]] or false
end

local record, first = call('HGET', LEDGER, newest), 1
local scheduled = is_scheduled(record)  -- as a rule: the other entries are not read then
while not scheduled do
  local slots = call('ZREVRANGEBYLEX', SLOTS, '+', '-', 'LIMIT', first, 100)
  if #slots == 0 then break end
  for _, entry in ipairs(many('HMGET', LEDGER, slots)) do scheduled = scheduled or is_scheduled(entry) end
  first = first + 100
end
return {newest, record, scheduled and 1 or 0, call('HEXISTS', PROCESS, 'paused')}
