package drivers;

import com.microsoft.signalr.HttpHubConnectionBuilder;
import io.reactivex.Observable;
import io.reactivex.Single;

/** What the driver says otherwise to a client before version 5, which is one of RxJava 2. */
final class Edition {
    private Edition() {}

    static <T> Single<T> single(T value) { return Single.just(value); }

    static Observable<Integer> range(int first, int count) { return Observable.range(first, count); }

    /** Does nothing: an app has no say in how this client makes its requests. */
    static HttpHubConnectionBuilder inOrder(HttpHubConnectionBuilder b) { return b; }
}
