import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a program does that uses the JDK's own HTTP client as it comes: one client for all requests,
 * which keeps its connection, and offers h2c with every request.
 *
 * <p>java JdkClient.java USERNAME PASSWORD CHANNEL_ID FOLLOWED_ID SEQ UPLOAD_BYTES URL...
 *
 * <p>Prints for each URL and each request one line: its name, the status, a tab, and the body or the
 * field that matters, as they came.
 */
public class JdkClient {
    private static final HttpClient CLIENT =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(30)).build();
    private static String token = "";

    public static void main(String[] args) throws Exception {
        for (int number = 6; number < args.length; number++) {
            int size = Integer.parseInt(args[5]);
            visit(args[number], args[0], args[1], args[2], args[3], args[4], size);
        }
    }

    private static void visit(
            String url, String username, String password, String channel, String followed,
            String seq, int size) throws Exception {
        String login = "grant_type=password&username=" + username + "&password="
                + password.replace(" ", "+");
        token = "";
        HttpResponse<String> tokens = ask("POST", url + "/token", text(login),
                "Content-Type", "application/x-www-form-urlencoded");
        Matcher found = Pattern.compile("\"access_token\":\\s*\"([^\"]+)\"").matcher(tokens.body());
        tell("token", tokens, found.find() ? "given" : tokens.body());
        token = found.group(1);

        String json = "application/json";
        String messages = url + "/v1/channels/" + channel + "/messages";
        HttpResponse<String> posted =
                ask("POST", messages, text("{\"text\": \"of known length\"}"), "Content-Type", json);
        tell("post", posted, posted.body());
        byte[] unknown = "{\"text\": \"in chunks\"}".getBytes(StandardCharsets.UTF_8);
        HttpResponse<String> chunked = ask("POST", messages,
                BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(unknown)),
                "Content-Type", json);
        tell("post-chunked", chunked, chunked.body());

        HttpResponse<String> read = ask("PUT", url + "/v1/channels/" + followed + "/read",
                text("{\"seq\": " + seq + "}"), "Content-Type", json);
        tell("read", read, read.body());

        HttpResponse<String> renamed = ask("PATCH", url + "/v1/users/me",
                text("{\"display_name\": \"Duke\"}"), "Content-Type", json);
        tell("rename", renamed, renamed.body());

        HttpResponse<String> created = ask("POST", url + "/v1/uploads", BodyPublishers.noBody(),
                "Tus-Resumable", "1.0.0", "Upload-Length", "" + size);
        String upload = created.headers().firstValue("location").orElse("");
        tell("create", created, upload);
        byte[] bytes = new byte[size];
        for (int at = 0; at < size; at++) {
            bytes[at] = (byte) (at % 251);
        }
        HttpResponse<String> kept = ask("PATCH", URI.create(url).resolve(upload).toString(),
                BodyPublishers.ofByteArray(bytes), "Tus-Resumable", "1.0.0", "Upload-Offset", "0",
                "Content-Type", "application/offset+octet-stream");
        tell("upload", kept, kept.headers().firstValue("upload-offset").orElse(""));

        HttpResponse<String> me = ask("GET", url + "/v1/users/me", BodyPublishers.noBody());
        tell("me", me, me.body());
    }

    private static BodyPublisher text(String text) {
        return BodyPublishers.ofString(text);
    }

    private static HttpResponse<String> ask(
            String method, String url, BodyPublisher body, String... fields) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url))
                .timeout(Duration.ofSeconds(60)).method(method, body);
        if (!token.isEmpty()) {
            request.header("Authorization", "Bearer " + token);
        }
        if (fields.length > 0) {
            request.headers(fields);
        }
        return CLIENT.send(request.build(), BodyHandlers.ofString());
    }

    private static void tell(String name, HttpResponse<String> answer, String text) {
        System.out.println(name + " " + answer.statusCode() + "\t" + text.replace("\n", " "));
    }
}
