package drivers;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** A list of lines "CLIENT/SCENARIO: reason", where * stands for anything, for one client. */
final class Listed {
    private record Line(Pattern names, String reason) {}

    private final String client;
    private final List<Line> lines = new ArrayList<>();

    Listed(String client, Path file) throws Exception {
        this.client = client;
        for (String line : Files.readAllLines(file)) {
            if (line.isBlank() || line.startsWith("#")) continue;
            String[] parts = line.split(": ", 2);
            if (parts.length < 2) throw new IllegalArgumentException(file + ": no reason in: " + line);
            lines.add(new Line(Pattern.compile("\\Q" + parts[0].replace("*", "\\E.*\\Q") + "\\E"), parts[1]));
        }
    }

    /** The reason of the first line that names scenario, or null. */
    String reason(String scenario) {
        String name = client + "/" + scenario;
        return lines.stream().filter(l -> l.names.matcher(name).matches()).map(Line::reason).findFirst().orElse(null);
    }
}
