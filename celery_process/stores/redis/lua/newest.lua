#!lua flags=no-writes
-- include: basics
-- Return the newest entry of the ledger, whether any came by the schedule, and whether the process is paused. ARGV: time,
-- the words of those who bring slots by the schedule.
local words = {}
for _, word in ipairs(given(2)) do words[word] = true end
local newest, scheduled, first = call('ZREVRANGEBYLEX', SLOTS, '+', '-', 'LIMIT', 0, 1)[1], 0, 0
if not newest then return {} end
local record, size = call('HGET', LEDGER, newest), 1
while scheduled == 0 do
  local slots = call('ZREVRANGEBYLEX', SLOTS, '+', '-', 'LIMIT', first, size)
  if #slots == 0 then break end
  for _, entry in ipairs(many('HMGET', LEDGER, slots)) do
    local parts = entry and split(entry) or {}
    if #parts == 5 and words[parts[5]] then scheduled = 1 end
  end
  first, size = first + size, 100
end
return {newest, record, scheduled, call('HEXISTS', PROCESS, 'paused')}
