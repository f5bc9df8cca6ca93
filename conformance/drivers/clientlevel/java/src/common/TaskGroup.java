package drivers;

import java.util.Map;

/** Tasks by the names of their scenarios. */
interface TaskGroup {
    Map<String, Task> tasks();
}
