-- The items of one run, while a script goes through them: read once, changed here, written at the end.
-- An item's record does not contain its name, so that equal items have the same record, which is processed once for all of
-- them. The lines from COUNT on are there only if the item had an error.
local STATE, OUTCOME, ON, STATS, RUN_STATS, TOKEN, PAGE, VERSION, ATTEMPT, SEQUENCE, LEASE, STARTED, FINISHED, SENT, SENDS = 1,
  2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
local COUNT, ERROR_AT, TEXTS, ERRORS, RUN_TEXTS, RUN_ERRORS, KEPT, ENTRIES = 16, 17, 18, 19, 20, 21, 22, 23

local FAULTLESS = '^' .. string.rep('([^\n]*)\n', SENDS - 1) .. '([^\n]*)$'

local epoch = ARGV[2]
local records, changed, order, left, due, ended = {}, {}, {}, {}, {}, 0

local function load(names)
  local found = many('HMGET', items_key(epoch), names)
  for place, name in ipairs(names) do records[name] = found[place] end
end

-- An item of a page that is folded has its first lines only, or if it completed its status alone.
local function item_of(record)
  local item = {string.match(record, FAULTLESS)}  -- in half the time of a split
  if #item == 0 then
    item = split(record)
  else
    item[COUNT], item[ERROR_AT], item[TEXTS], item[ERRORS], item[RUN_TEXTS], item[RUN_ERRORS], item[KEPT], item[ENTRIES] = '0',
      '', '0', '0', '0', '0', '0', ''
  end
  return item
end

local function last_line(item)
  local faultless = item[COUNT] == '0' and item[TEXTS] == '0' and item[ERRORS] == '0' and item[RUN_TEXTS] == '0'
    and item[RUN_ERRORS] == '0' and item[KEPT] == '0'
  return faultless and SENDS or ENTRIES
end

local function record_of(item) return table.concat(item, '\n', 1, last_line(item)) end

-- What a record has before and after its stats, in which items that are alike may differ.
local function around_stats(item)
  return table.concat(item, '\n', 1, ON) .. '\n', '\n' .. table.concat(item, '\n', TOKEN, last_line(item))
end

local function is_open(item) return item[STATE] == 'p' or item[STATE] == 'c' end

-- The outcome and the attempt of an item that is no longer kept, from its status of this run; nil where it has none.
local function ended_by(name)
  local of, outcome, attempt = string.match(call('HGET', STATUSES, name) or '', '^%d+\n(%d+)\n(%a)\n(%d+)\n')
  if of == epoch then return outcome, attempt end
end

local function change(name, record)
  records[name] = record
  if not changed[name] then
    changed[name] = true
    order[#order + 1] = name
  end
end

-- Make an item unpublished, as if it had never been published; it stays its last holder's until another caller claims it.
local function offer(item)
  item[LEASE], item[SENT], item[SENDS] = '', '', '0'
end

local function free(item)
  offer(item)
  item[TOKEN] = ''
end

local function left_of(page)
  if not left[page] then left[page] = tonumber(call('HGET', pages_key(epoch), 'c' .. page)) end
  return left[page]
end

-- One item less of the page is open.
local function over(page)
  left[page] = left_of(page) - 1
  ended = ended + 1
  if left[page] == 0 then due[#due + 1] = page end
end

local function expired(item, now) return item[STATE] == 'c' and tonumber(item[LEASE]) <= now end

local function add_entry(entries, entry)
  if entries == '' then return '[' .. entry .. ']' end
  return string.sub(entries, 1, -2) .. ',' .. entry .. ']'
end

-- `open` is the run's count of open items as it was read.
local function save(open)
  local fields = {}
  for _, name in ipairs(order) do
    fields[#fields + 1], fields[#fields + 2] = name, records[name]
    if #fields >= 1000 then
      call('HSET', items_key(epoch), unpack(fields))
      fields = {}
    end
  end
  many('HSET', items_key(epoch), fields)
  if ended > 0 then
    for page, count in pairs(left) do call('HSET', pages_key(epoch), 'c' .. page, whole(count)) end
    call('HSET', run_key(epoch), 'open', whole(tonumber(open) - ended))
  end
end
