#!lua flags=allow-oom
-- include: basics
-- Note whether a purge is due. ARGV: time, flag.
if ARGV[2] == '1' then
  call('HSET', PROCESS, 'purge', '1')
else
  call('HDEL', PROCESS, 'purge')
end
