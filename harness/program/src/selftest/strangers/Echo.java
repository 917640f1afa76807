// Echo server with a thread for each connection, without a library: java -cp FOLDER Echo PORT STATE_KIB ROUNDS
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;

public class Echo {
  static final String GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  static final Object LOCK = new Object();
  static int state, rounds;

  public static void main(String[] args) throws IOException {
    state = Integer.parseInt(args[1]);
    rounds = Integer.parseInt(args[2]);
    ServerSocket server = new ServerSocket(Integer.parseInt(args[0]), 1024, InetAddress.getByName("127.0.0.1"));
    while (true) {
      Socket socket = server.accept();
      new Thread(null, () -> handle(socket), "connection", 256 * 1024).start();
    }
  }

  static void handle(Socket socket) {
    try (socket) {
      serve(new BufferedInputStream(socket.getInputStream()), socket.getOutputStream());
    } catch (IOException | GeneralSecurityException e) {
      // The client went away.
    }
  }

  static void serve(InputStream in, OutputStream out) throws IOException, GeneralSecurityException {
    String key = "", line;
    while (!(line = line(in)).isEmpty()) {
      if (line.toLowerCase().startsWith("sec-websocket-key:")) key = line.substring(18).trim();
    }
    byte[] kept = new byte[state * 1024];
    synchronized (LOCK) { // one table for all connections
      byte[] sum = new byte[32];
      for (int turn = 0; turn < rounds; turn++) sum = MessageDigest.getInstance("SHA-256").digest(sum);
    }
    byte[] hash = MessageDigest.getInstance("SHA-1").digest((key + GUID).getBytes());
    out.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + Base64.getEncoder().encodeToString(hash) + "\r\n\r\n").getBytes());
    while (true) {
      int first = read(in), length = read(in) & 127, code = first & 15;
      if (length == 126) length = read(in) << 8 | read(in);
      byte[] mask = in.readNBytes(4), data = in.readNBytes(length);
      for (int i = 0; i < data.length; i++) data[i] ^= mask[i & 3];
      byte[] head = length < 126 ? new byte[] {(byte) (code == 9 ? 0x8A : first), (byte) length}
          : new byte[] {(byte) first, 126, (byte) (length >> 8), (byte) length};
      byte[] frame = java.util.Arrays.copyOf(head, head.length + data.length);
      System.arraycopy(data, 0, frame, head.length, data.length);
      if (code != 10) out.write(frame);
      if (code == 8 || kept.length < 0) return;
    }
  }

  static int read(InputStream in) throws IOException {
    int value = in.read();
    if (value < 0) throw new EOFException();
    return value;
  }

  static String line(InputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int c = read(in); c != '\n'; c = read(in)) if (c != '\r') line.append((char) c);
    return line.toString();
  }
}
