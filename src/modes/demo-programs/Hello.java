// The Java program of `kt demo`: an ordinary one, it knows nothing of kt. Started as a single source file (JEP 330).
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Hello {
    public static void main(String[] args) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://orders/")).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println("  http://orders           \u2192 " + answer.statusCode() + ", " + answer.body().length() + " bytes");
        try (Socket database = new Socket("db-0.db", 5432)) {
            database.getOutputStream().write("GET greeting\n".getBytes());
            String line = new BufferedReader(new InputStreamReader(database.getInputStream())).readLine();
            System.out.println("  db-0.db:5432 (raw TCP)  \u2192 " + line);
        }
    }
}
