"""The scripts of the coordination store in Redis: each method one script, each script one round trip.

Keys of a job, all in the hash slot of its name::

    {job}:job               hash   epoch, nonce, state, story; of a job that is over, state and story alone
    {job}:<nonce>:lease     zset   record ids by expiry (seconds, the server's clock)
    {job}:<nonce>:x:<id>    hash   token, invocation, seq, attempts, announced, reply, count
    {job}:<nonce>:t:<id>    zset   todo, by the order in which it grew
    {job}:<nonce>:a:<task>  set    tiles that have arrived
    {job}:<nonce>:u:<tile>  set    consumers that are discharged

The nonce is that of the `create` which made the job what it is. A plan that is too large for one script is written
beneath its nonce first, bit by bit, where nobody looks; the last script then makes it the job's, or not. Records of
another nonce do not exist for `start` and `commit`, which is rule 14's "another nonce".

Scripts may write when the server's memory is full (``allow-oom``): what they write is small, and their commits are
what frees memory. No script takes an argument's text apart, but for the numbers among them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

PRELUDE = """#!lua flags=allow-oom
local job, call = KEYS[1], redis.call
local at = 0
local function nextarg() at = at + 1; return ARGV[at] end
local function count() return tonumber(nextarg()) end

local now = nextarg()
if now == '' then
    local time = call('TIME')
    now = tonumber(time[1]) + tonumber(time[2]) / 1e6
else
    now = tonumber(now)
end
local ttl = count()
local base = string.sub(job, 1, -4)
local nonce = call('HGET', job, 'nonce') or ''
local function key(kind, name) return base .. nonce .. ':' .. kind .. name end
local function precise(number) return string.format('%.17g', number) end

local function lease(id, seconds)
    call('ZADD', key('lease', ''), precise(now + seconds), id)
end
local function owe(id, order, item)
    call('ZADD', key('t:', id), 'NX', order, item)
end
local function arrive(task, tile)
    local set = key('a:', task)
    if call('SADD', set, tile) == 0 then return 0 end
    local size = call('SCARD', set)
    if size == 1 then call('EXPIRE', set, ttl) end
    return size
end
local function many(list, ...)
    for first = 1, #list, 1000 do
        local words = {...}
        for position = first, math.min(first + 999, #list) do words[#words + 1] = list[position] end
        call(unpack(words))
    end
end
local function register(grace, grows)
    for _ = 1, count() do
        local id, size, order = nextarg(), count(), 0
        if grows then
            order = tonumber(call('HGET', key('x:', id), 'count') or 0)
        else
            call('DEL', key('x:', id), key('t:', id))
        end
        call('HSET', key('x:', id), 'token', '', 'seq', 0, 'attempts', 0, 'announced', '', 'count', order + size)
        call('EXPIRE', key('x:', id), ttl)
        for place = 1, size do owe(id, order + place, nextarg()) end
        call('EXPIRE', key('t:', id), ttl)
        lease(id, grace)
    end
    call('EXPIRE', key('lease', ''), ttl)
end
local function state() return call('HGET', job, 'state') end
local function finish(how, story) call('HSET', job, 'state', how, 'story', story) end
"""

CREATE = """
local epoch, new, last, grace = count(), nextarg(), nextarg(), count()
if nonce == new and last == '1' then return 1 end
local there = state()
if there and there ~= 'lost' or epoch <= tonumber(call('HGET', job, 'epoch') or 0) then return 0 end
nonce = new
for _ = 1, count() do
    local task = nextarg()
    for _ = 1, count() do arrive(task, nextarg()) end
end
register(grace, nextarg() == '1')
if last == '1' then
    call('HSET', job, 'epoch', epoch, 'nonce', nonce, 'state', 'running', 'story', '')
    call('EXPIRE', job, ttl)
end
return 1
"""

START = """
local id, token, invocation, again = nextarg(), nextarg(), nextarg(), nextarg()
local seconds, limit, story = count(), count(), nextarg()
local record = key('x:', id)
local held = call('HMGET', record, 'token', 'invocation')
local holder = held[1]
if state() ~= 'running' or not holder then return false end
if not (again == '1' and holder == token) then
    local expiry = tonumber(call('ZSCORE', key('lease', ''), id))
    local same = invocation ~= '' and held[2] == invocation
    if holder ~= '' and now < expiry and not same then return false end
    call('HSET', record, 'token', token, 'invocation', invocation)
    lease(id, seconds)
    if call('HINCRBY', record, 'attempts', 1) > limit then
        finish('failed', story)
        return false
    end
end
local values = call('HMGET', record, 'seq', 'announced', 'attempts')
return {values[1], call('ZRANGE', key('t:', id), 0, -1), values[2], values[3]}
"""

COMMIT = """
local id, token, seq, seconds, grace = nextarg(), nextarg(), count(), count(), count()
local record, todo = key('x:', id), key('t:', id)
local values = call('HMGET', record, 'token', 'seq', 'count', 'reply')
if state() ~= 'running' or values[1] ~= token then return false end
if tonumber(values[2]) == seq + 1 then return values[4] and cmsgpack.unpack(values[4]) end
if tonumber(values[2]) ~= seq then return false end

local joined, freed, order = {}, {}, tonumber(values[3])
for _ = 1, count() do
    local task, tile, total = nextarg(), nextarg(), count()
    local size = arrive(task, tile)
    if total == 1 or size == total then joined[#joined + 1] = task end
end
for _ = 1, count() do
    call('ZREM', todo, nextarg())
    for _ = 1, count() do order = order + 1; owe(id, order, nextarg()) end
end
local owed, settled, sets, given = {}, {}, {}, {}
for _, task in ipairs(joined) do
    order = order + 1
    owed[#owed + 1] = order
    owed[#owed + 1] = task
end
many(owed, 'ZADD', todo, 'NX')
for _ = 1, count() do
    local task = nextarg()
    settled[#settled + 1] = task
    sets[#sets + 1] = key('a:', task)
end
many(settled, 'ZREM', todo)
many(sets, 'UNLINK')
local gives = at
for _ = 1, count() do
    nextarg()
    for _ = 1, count() do given[#given + 1] = nextarg() end
end
many(given, 'ZREM', todo)
at = gives
register(grace)
for _ = 1, count() do
    local tile, task, total = nextarg(), nextarg(), count()
    local set = key('u:', tile)
    if total > 1 and call('SADD', set, task) == 1 and call('SCARD', set) == 1 then call('EXPIRE', set, ttl) end
    if total == 1 or call('SCARD', set) == total then
        freed[#freed + 1] = tile
        call('UNLINK', set)
    end
end

local announced, yields, resets, how, story = nextarg(), nextarg(), nextarg(), nextarg(), nextarg()
local reply = {joined, freed}
if call('EXISTS', todo) == 0 then
    call('DEL', record)
    call('ZREM', key('lease', ''), id)
else
    call('HSET', record, 'seq', seq + 1, 'announced', announced, 'count', order, 'reply', cmsgpack.pack(reply))
    if resets == '1' then call('HSET', record, 'attempts', 0) end
    lease(id, yields == '1' and 0 or seconds)
    call('EXPIRE', record, ttl)
    call('EXPIRE', todo, ttl)
end
if how ~= '' then finish(how, story) end
return reply
"""

BURY = """
local leaves, seconds, here = nextarg(), count(), state()
if not here then return 0 end
if leaves == 'lost' then
    if here == 'done' then finish(leaves, '') end
    return 0
end
if here == 'failed' then leaves = here end
if here ~= 'cancelled' and here ~= 'swept' then
    local story = call('HGET', job, 'story') or ''
    call('DEL', job)
    finish(leaves, story)
end
call('EXPIRE', job, seconds)
return 1
"""

READ = """
local values = call('HMGET', job, 'state', 'epoch', 'story')
local sets = {}
for position = 1, count() do sets[position] = call('SMEMBERS', key('a:', nextarg())) end
local startable = {}
if values[1] then startable = call('ZRANGEBYSCORE', key('lease', ''), '-inf', precise(now)) end
return {values[1] or 'missing', values[2] or 0, values[3] or '', startable, sets}
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the digest by which a server that knows it is asked for it."""

    text: str
    digest: str


def script(body: str) -> Script:
    """A script with the prelude before its body."""
    text = PRELUDE + body
    return Script(text, hashlib.sha1(text.encode()).hexdigest())
