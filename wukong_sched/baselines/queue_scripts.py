"""The scripts of the central queue in Redis: each method one script, each script one round trip.

Keys of a job, all in the hash slot of its name::

    {job}:queue:job        hash   state, story, total
    {job}:queue:ready      list   tasks that nobody has, first come first served
    {job}:queue:leases     zset   tasks that somebody has, by expiry (seconds, the server's clock)
    {job}:queue:attempts   hash   how often each task that is not done was taken
    {job}:queue:done       set    tasks that were completed
    {job}:queue:a:<task>   set    inputs of the task that are stored
    {job}:queue:bell       list   wakes workers that found nothing
    {job}:queue:building   string there while a queue that was lost is written anew; nobody takes from it yet
"""

from __future__ import annotations

import hashlib

from wukong_sched.coordination.scripts import Script

PRELUDE = """#!lua flags=allow-oom
local job, call = KEYS[1], redis.call
local base = string.sub(job, 1, -4)
local ready, leases, done = base .. 'ready', base .. 'leases', base .. 'done'
local attempts, bell = base .. 'attempts', base .. 'bell'
local at = 0
local function nextarg() at = at + 1; return ARGV[at] end
local function count() return tonumber(nextarg()) end
local ttl = count()
local time = call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local function expiry(seconds) return string.format('%.17g', now + seconds) end
local function running() return call('HGET', job, 'state') == 'running' end
local function keep()
    for _, key in ipairs({job, ready, leases, done, attempts, bell}) do call('EXPIRE', key, ttl) end
end
local function ring(times)
    for _ = 1, math.min(times, 256) do call('RPUSH', bell, 1) end
    call('LTRIM', bell, 0, 255)
end
local function finish(how, story)
    call('HSET', job, 'state', how, 'story', story)
    ring(256)
end
"""

CREATE = """
if call('EXISTS', job) == 1 then return 0 end
call('HSET', job, 'state', 'running', 'story', '', 'total', nextarg())
keep()
return 1
"""

OFFER = """
if not running() then return 0 end
local size = count()
for _ = 1, size do call('RPUSH', ready, nextarg()) end
ring(size)
keep()
return 1
"""

TAKE = """
local most, seconds, limit, story = count(), count(), count(), nextarg()
if not running() then return false end
for _, task in ipairs(call('ZRANGEBYSCORE', leases, '-inf', expiry(0), 'LIMIT', 0, 1000)) do
    call('ZREM', leases, task)
    call('LPUSH', ready, task)
end
local taken = {}
while #taken < most do
    local task = call('LPOP', ready)
    if not task then break end
    if call('SISMEMBER', done, task) == 0 then
        if call('HINCRBY', attempts, task, 1) > limit then
            finish('failed', story)
            return false
        end
        call('ZADD', leases, expiry(seconds), task)
        call('HINCRBY', job, 'taken', 1)
        taken[#taken + 1] = task
    end
end
return taken
"""

RENEW = """
local seconds = count()
if not running() then return 0 end
for _ = 1, count() do call('ZADD', leases, 'XX', expiry(seconds), nextarg()) end
return 1
"""

COMPLETE = """
local task, last = nextarg(), nextarg()
if not running() then return 0 end
if call('SISMEMBER', done, task) == 1 then
    call('ZREM', leases, task)
    return 1
end
local found = 0
for _ = 1, count() do
    local child, tile, total = nextarg(), nextarg(), count()
    local stored = base .. 'a:' .. child
    if call('SISMEMBER', done, child) == 0 and call('SADD', stored, tile) == 1 then
        local size = call('SCARD', stored)
        if size == 1 then call('EXPIRE', stored, ttl) end
        if size == total then
            call('RPUSH', ready, child)
            found = found + 1
        end
    end
end
ring(found)
if last == '1' then
    call('SADD', done, task)
    call('ZREM', leases, task)
    call('HDEL', attempts, task)
    call('UNLINK', base .. 'a:' .. task)
    if call('SCARD', done) == tonumber(call('HGET', job, 'total')) then finish('done', '') end
end
keep()
return 1
"""

RESTORE = """
local total, first, last = count(), nextarg(), nextarg()
local building = base .. 'building'
if call('EXISTS', job) == 1 then return 0 end
if first == '1' then
    call('UNLINK', ready, leases, done, attempts)
    call('SET', building, '')
elseif call('EXISTS', building) == 0 then
    return 0
end
for _ = 1, count() do call('SADD', done, nextarg()) end
for _ = 1, count() do
    local stored = base .. 'a:' .. nextarg()
    call('SADD', stored, nextarg())
    call('EXPIRE', stored, ttl)
end
local size = count()
for _ = 1, size do call('RPUSH', ready, nextarg()) end
if last == '1' then
    call('UNLINK', building)
    call('HSET', job, 'state', call('SCARD', done) == total and 'done' or 'running', 'story', '', 'total', total)
    ring(call('LLEN', ready))
else
    call('EXPIRE', building, ttl)
end
keep()
return 1
"""

FAIL = """
if running() then finish('failed', nextarg()) end
return 1
"""

READ = """
local values = call('HMGET', job, 'state', 'story', 'taken')
return {values[1] or 'missing', values[2] or '', call('SCARD', done), tonumber(values[3] or 0)}
"""


def script(body: str) -> Script:
    """A script with the prelude before its body."""
    text = PRELUDE + body
    return Script(text, hashlib.sha1(text.encode()).hexdigest())
