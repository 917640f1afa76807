<?php
// Echo server on stream_select, without a library: php select.php PORT STATE_KIB ROUNDS
[, $port, $state, $rounds] = $argv;
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
$context = stream_context_create(['socket' => ['backlog' => 1024]]);
$listener = stream_socket_server("tcp://127.0.0.1:$port", $code, $text, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
[$sockets, $heard, $kept] = [[], [], []];
while (true) {
    [$read, $write, $except] = [[$listener, ...array_values($sockets)], null, null];
    if (@stream_select($read, $write, $except, 5) === false) {
        exit(1);
    }
    foreach ($read as $socket) {
        if ($socket === $listener) {
            if ($new = @stream_socket_accept($listener, 0)) {
                stream_set_blocking($new, false);
                $sockets[(int) $new] = $new;
                $heard[(int) $new] = '';
            }
            continue;
        }
        $id = (int) $socket;
        $data = @fread($socket, 65536);
        if (($data === '' || $data === false) && feof($socket)) {
            unset($sockets[$id], $heard[$id], $kept[$id]);
            continue;
        }
        $heard[$id] .= $data;
        if (!isset($kept[$id]) && str_contains($heard[$id], "\r\n\r\n")) {
            preg_match('/sec-websocket-key: *(\S+)/i', $heard[$id], $key);
            $heard[$id] = explode("\r\n\r\n", $heard[$id], 2)[1];
            $kept[$id] = str_repeat('x', 1 + $state * 1024);
            if ($rounds > 0) {
                hash_pbkdf2('sha256', 'secret', 'salt', (int) $rounds);
            }
            $accept = base64_encode(sha1(($key[1] ?? '') . GUID, true));
            fwrite($socket, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                . "Sec-WebSocket-Accept: $accept\r\n\r\n");
        }
        while (isset($kept[$id]) && strlen($heard[$id]) >= 6) {
            [$first, $length, $at] = [ord($heard[$id][0]), ord($heard[$id][1]) & 127, 2];
            if ($length === 126) {
                [$length, $at] = [unpack('n', substr($heard[$id], 2, 2))[1], 4];
            }
            if (strlen($heard[$id]) < $at + 4 + $length) {
                break;
            }
            $mask = str_repeat(substr($heard[$id], $at, 4), intdiv($length, 4) + 1);
            $said = substr($heard[$id], $at + 4, $length) ^ $mask;
            $heard[$id] = substr($heard[$id], $at + 4 + $length);
            $size = $length < 126 ? chr($length) : chr(126) . pack('n', $length);
            if (($first & 15) !== 10) {
                fwrite($socket, chr(($first & 15) === 9 ? 0x8A : $first) . $size . $said);
            }
            if (($first & 15) === 8) {
                fclose($socket);
                unset($sockets[$id], $heard[$id], $kept[$id]);
                break;
            }
        }
    }
}
