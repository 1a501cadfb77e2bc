#!lua
-- include: basics states items faults showing
-- Free the items of a page whose lease ran out, or mark them lost after their last attempt; in a run that is ABORTING cancel
-- what is pending. A lease that ends later than one lease from now is cut to that. The repairs are kept with the run until
-- they are acknowledged, with a bounded number of lost names: the other items wait for the next call.
-- ARGV: time, epoch, run, page, lease, attempts, the text of a loss as JSON, before and after the number of attempts, and
-- the names that are kept at most.
if not load_run() then return {} end
local page, lease, attempts, now = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), clock()
if not call('ZSCORE', open_key(epoch), page) then return {} end
local names = names_of(call('HGET', pages_key(epoch), 'p' .. page))
load(names)
local kept = call('HMGET', run_key(epoch), 'lost_names', 'lost_count')
local freed, lost, room = 0, kept[1] and {kept[1]} or {}, tonumber(ARGV[9]) - tonumber(kept[2] or 0)
local before = #lost
for _, name in ipairs(names) do
  local item = item_of(records[name])
  local open = is_open(item)
  if item[STATE] == 'c' and tonumber(item[LEASE]) > now + lease then item[LEASE] = whole(now + lease) end
  local capped = tonumber(item[ATTEMPT]) >= attempts
  if expired(item, now) and not (capped and #lost - before >= room) then
    freed = freed + 1
    if capped then
      offer(item)
      item[STATE], item[TOKEN] = item_moved(item[STATE], 'l'), string.match(item[TOKEN], '%..*') or ''  -- as `void_token`
      local text = ARGV[7] .. item[ATTEMPT] .. ARGV[8]
      local entry = '[' .. text .. ',' .. whole(now) .. ',' .. cjson.encode(name) .. ']'
      item[STATS], item[RUN_STATS] = '', ''
      keep_entry(item, entry)
      keep_in_run(entry)
      charge(name, item, 1, 0, now)
      lost[#lost + 1] = name
    else
      -- It stays its last holder's until another caller claims it.
      offer(item)
      item[STATE] = item_moved(item[STATE], 'p')
    end
  end
  if item[STATE] == 'p' and run.state == 'ABORTING' then
    free(item)
    item[STATE] = item_moved(item[STATE], 'x')
  end
  if open and not is_open(item) then over(page) end
  local record = record_of(item)
  if record ~= records[name] then change(name, record) end
end
save(run.open)
save_run()
if freed > 0 then
  call('HINCRBY', run_key(epoch), 'repairs', 1)
  call('HINCRBY', run_key(epoch), 'freed', freed)
end
if #lost > before then
  call('HSET', run_key(epoch), 'lost_names', join(lost))
  call('HINCRBY', run_key(epoch), 'lost_count', #lost - before)
end
return {freed, aborted_here(), left_of(page) == 0 and 1 or 0}
