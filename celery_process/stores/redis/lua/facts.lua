#!lua flags=no-writes
-- include: basics showing
-- Return what a fold of a page adds up, or a close looks at. ARGV: time, epoch, run, page (empty: the close alone).
local epoch, page = ARGV[2], ARGV[4]
local run = call('HMGET', run_key(epoch), 'id', 'state', 'reason', 'cur', 'fold', 'counts', 'stats', 'total_errors', 'started')
if run[1] ~= ARGV[3] or (run[2] ~= 'ACTIVE' and run[2] ~= 'ABORTING') then return {} end
local open = call('ZCARD', open_key(epoch))
local records = {}
if page == '' then
  if not walk_over(run[2], run[4]) or open > 0 then return {} end
else
  if call('HGET', pages_key(epoch), 'c' .. page) ~= '0' then return {} end
  records = many('HMGET', items_key(epoch), names_of(call('HGET', pages_key(epoch), 'p' .. page)))
  open = open - 1
end
return {whole(clock()), run, open, walk_over(run[2], run[4]) and 1 or 0, records, call('HGET', PROCESS, 'aggregate') or ''}
