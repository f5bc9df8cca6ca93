package drivers;

import com.microsoft.signalr.HttpHubConnectionBuilder;
import io.reactivex.rxjava3.core.Observable;
import io.reactivex.rxjava3.core.Single;

/** What the driver says otherwise to a client of version 5 or later, which is one of RxJava 3. */
final class Edition {
    private Edition() {}

    static <T> Single<T> single(T value) { return Single.just(value); }

    static Observable<Integer> range(int first, int count) { return Observable.range(first, count); }

    /** Has the client make its requests in order. */
    static HttpHubConnectionBuilder inOrder(HttpHubConnectionBuilder b) { return b.setHttpClientBuilderCallback(new InOrder()::in); }
}
