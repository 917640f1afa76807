// Echo server in plain Java 11 or newer, a thread for each connection and no library: every message comes back.
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

public class Server {
  static final String GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  static final int MAX_MESSAGE = 1024 * 1024;
  static final int MAX_HEAD = 16 * 1024;
  static final Set<Connection> OPEN = ConcurrentHashMap.newKeySet();

  static String option(String[] args, String name, String usual) {
    int at = Arrays.asList(args).indexOf(name);
    return at < 0 || at + 1 >= args.length ? usual : args[at + 1];
  }

  public static void main(String[] args) throws IOException {
    InetAddress address = InetAddress.getByName(option(args, "--address", "127.0.0.1"));
    int port = Integer.parseInt(option(args, "--port", "9008"));
    // Bytes of a thread's stack; 0: what the JVM has, 1 MiB of addresses on Linux.
    long stack = Long.parseLong(option(args, "--stack", "0"));
    int buffer = Integer.parseInt(option(args, "--buffer", "8192"));
    ServerSocket server = new ServerSocket(port, 4096, address);
    String ip = server.getInetAddress().getHostAddress();
    System.out.println("listening on " + (ip.contains(":") ? "[" + ip + "]" : ip) + ":" + server.getLocalPort());
    Runtime.getRuntime().addShutdownHook(new Thread(() -> drain(server)));
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        socket.setTcpNoDelay(true);
        new Thread(null, new Connection(socket, buffer), "connection", stack).start();
      } catch (IOException e) {
        pause(50); // without descriptors: some may be free again soon
      }
    }
    pause(5000); // what ends the connections ends the process
  }

  static void pause(long ms) {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Closes every connection with 1001 and waits a moment for them to end. */
  static void drain(ServerSocket server) {
    try {
      server.close();
    } catch (IOException e) {
      // It listens no more either way.
    }
    OPEN.forEach(connection -> connection.close(1001));
    for (int turns = 0; turns < 75 && !OPEN.isEmpty(); turns++) pause(20);
    // Else the exit code of SIGTERM would be 143.
    Runtime.getRuntime().halt(0);
  }

  /** One connection. */
  static final class Connection implements Runnable {
    private final Socket socket;
    private final int buffer;
    private InputStream in;
    private OutputStream out;

    Connection(Socket socket, int buffer) {
      this.socket = socket;
      this.buffer = buffer;
    }

    @Override
    public void run() {
      try (socket) {
        in = new BufferedInputStream(socket.getInputStream(), buffer);
        out = socket.getOutputStream();
        socket.setSoTimeout(10_000);
        if (!upgrade()) return;
        socket.setSoTimeout(0);
        OPEN.add(this);
        echo();
      } catch (CharacterCodingException e) {
        close(1007);
      } catch (IOException e) {
        // The client went away.
      } catch (Exception e) {
        System.err.println("connection failed: " + e);
      } finally {
        OPEN.remove(this);
      }
    }

    private boolean upgrade() throws Exception {
      String key = null, upgrade = "", line;
      int length = 0;
      while (!(line = line()).isEmpty()) {
        length += line.length();
        if (length > MAX_HEAD) return false;
        String[] parts = line.split(":", 2);
        if (parts.length < 2) continue;
        String name = parts[0].trim().toLowerCase(Locale.ROOT);
        if (name.equals("sec-websocket-key")) key = parts[1].trim();
        if (name.equals("upgrade")) upgrade = parts[1].trim().toLowerCase(Locale.ROOT);
      }
      if (key == null || !upgrade.equals("websocket")) {
        out.write(ascii("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
        return false;
      }
      byte[] hash = MessageDigest.getInstance("SHA-1").digest(ascii(key + GUID));
      out.write(ascii("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          + "Sec-WebSocket-Accept: " + Base64.getEncoder().encodeToString(hash) + "\r\n\r\n"));
      return true;
    }

    private void echo() throws IOException {
      ByteArrayOutputStream message = null;
      int kind = 0;
      while (true) {
        int first = read(), second = read();
        int code = first & 15;
        boolean last = (first & 0x80) != 0;
        long length = second & 127;
        if (length == 126) length = number(2);
        else if (length == 127) length = number(8);
        boolean control = code >= 8;
        if ((first & 0x70) != 0 || (second & 0x80) == 0 || control && (!last || length > 125)) {
          close(1002);
          return;
        }
        if (length < 0 || length + (message == null ? 0 : message.size()) > MAX_MESSAGE) {
          close(1009);
          return;
        }
        byte[] mask = exactly(4), data = exactly((int) length);
        for (int at = 0; at < data.length; at++) data[at] ^= mask[at & 3];
        if (control) {
          if (code == 8) write(8, data);
          if (code == 9) write(10, data);
          if (code == 8) return;
          continue;
        }
        if (code > 2 || (code == 0) == (message == null)) {
          close(1002);
          return;
        }
        if (code != 0) {
          kind = code;
          message = last ? null : new ByteArrayOutputStream();
        }
        if (message != null) {
          message.write(data);
          if (!last) continue;
          data = message.toByteArray();
          message = null;
        }
        if (kind == 1) StandardCharsets.UTF_8.newDecoder().decode(java.nio.ByteBuffer.wrap(data));
        write(kind, data);
      }
    }

    void close(int code) {
      try {
        write(8, new byte[] {(byte) (code >> 8), (byte) code});
      } catch (IOException e) {
        // It is gone.
      }
    }

    private synchronized void write(int code, byte[] data) throws IOException {
      int length = data.length, head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
      byte[] frame = new byte[head + length];
      frame[0] = (byte) (0x80 | code);
      frame[1] = (byte) (head == 2 ? length : head == 4 ? 126 : 127);
      for (int at = 2; at < head; at++) frame[at] = (byte) ((long) length >> 8 * (head - 1 - at));
      System.arraycopy(data, 0, frame, head, length);
      out.write(frame);
    }

    private long number(int bytes) throws IOException {
      long number = 0;
      for (int at = 0; at < bytes; at++) number = number << 8 | read();
      return number;
    }

    private byte[] exactly(int count) throws IOException {
      byte[] data = in.readNBytes(count);
      if (data.length < count) throw new EOFException();
      return data;
    }

    private int read() throws IOException {
      int value = in.read();
      if (value < 0) throw new EOFException();
      return value;
    }

    private String line() throws IOException {
      StringBuilder line = new StringBuilder();
      for (int c = read(); c != '\n'; c = read()) {
        if (line.length() > MAX_HEAD) throw new IOException("the head is too long");
        if (c != '\r') line.append((char) c);
      }
      return line.toString();
    }
  }

  static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
