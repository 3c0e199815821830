package clientgo

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
)

func next(t *testing.T, events watch.Interface) watch.Event {
	t.Helper()
	select {
	case event, isOpen := <-events.ResultChan():
		check(t, isOpen, "the watch has ended")
		return event
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	return watch.Event{}
}

func create(t *testing.T, client kubernetes.Interface, ns, name string) *corev1.ConfigMap {
	t.Helper()
	made, err := client.CoreV1().ConfigMaps(ns).Create(ctx(t), configMap(name, nil), metav1.CreateOptions{})
	must(t, err)
	return made
}

func remove(t *testing.T, client kubernetes.Interface, ns, name string) {
	t.Helper()
	must(t, client.CoreV1().ConfigMaps(ns).Delete(ctx(t), name, metav1.DeleteOptions{}))
}

func label(t *testing.T, client kubernetes.Interface, made *corev1.ConfigMap, value string) *corev1.ConfigMap {
	t.Helper()
	made = made.DeepCopy()
	made.Labels = map[string]string{"label": value}
	changed, err := client.CoreV1().ConfigMaps(made.Namespace).Update(ctx(t), made, metav1.UpdateOptions{})
	must(t, err)
	return changed
}

func TestAWatchTellsEachChange(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	events, err := client.CoreV1().ConfigMaps(ns).Watch(ctx(t), metav1.ListOptions{FieldSelector: "metadata.name=a"})
	must(t, err)
	defer events.Stop()
	label(t, client, create(t, client, ns, "a"), "1")
	remove(t, client, ns, "a")
	for _, kind := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		event := next(t, events)
		check(t, event.Type == kind, "it was %s and not %s", event.Type, kind)
	}
}

func TestAnObjectThatNoLongerMatchesIsDeletedInTheWatch(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	events, err := client.CoreV1().ConfigMaps(ns).Watch(ctx(t), metav1.ListOptions{LabelSelector: "label=1"})
	must(t, err)
	defer events.Stop()
	made := label(t, client, create(t, client, ns, "a"), "1")
	label(t, client, made, "2")
	for _, kind := range []watch.EventType{watch.Added, watch.Deleted} {
		event := next(t, events)
		check(t, event.Type == kind, "it was %s and not %s", event.Type, kind)
	}
}

func TestAWatchGoesOnFromAVersion(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	first := create(t, client, ns, "a")
	create(t, client, ns, "b")
	events, err := client.CoreV1().ConfigMaps(ns).Watch(
		ctx(t), metav1.ListOptions{ResourceVersion: first.ResourceVersion, FieldSelector: "metadata.name!=kube-root-ca.crt"})
	must(t, err)
	defer events.Stop()
	event := next(t, events)
	check(t, event.Object.(*corev1.ConfigMap).Name == "b", "it was %v", event.Object)
}

func TestAStreamingListEndsItsFirstPartWithABookmark(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	create(t, client, ns, "a")
	events, err := client.CoreV1().ConfigMaps(ns).Watch(ctx(t), metav1.ListOptions{
		SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	must(t, err)
	defer events.Stop()
	for {
		event := next(t, events)
		if event.Type == watch.Bookmark {
			made := event.Object.(*corev1.ConfigMap)
			check(t, made.Annotations[metav1.InitialEventsAnnotationKey] == "true", "a bookmark %v", made)
			return
		}
		check(t, event.Type == watch.Added, "it was %s", event.Type)
	}
}

func TestAWatchEndsAfterItsTime(t *testing.T) {
	events, err := clientset(t).CoreV1().ConfigMaps(namespace(t)).Watch(
		ctx(t), metav1.ListOptions{TimeoutSeconds: ptr.To(int64(1)), LabelSelector: "none=none"})
	must(t, err)
	select {
	case event, isOpen := <-events.ResultChan():
		check(t, !isOpen, "there was an event: %v", event)
	case <-time.After(patience):
		t.Fatal("it has no end")
	}
}

func TestAVersionThatIsToComeIsRefused(t *testing.T) {
	// Ten tries, a second apart, unless the client is told not to.
	err := clientset(t).CoreV1().RESTClient().Get().MaxRetries(0).Namespace(namespace(t)).Resource("configmaps").
		Param("resourceVersion", "999999999").Param("resourceVersionMatch", "Exact").Do(ctx(t)).Error()
	check(t, apierrors.IsTimeout(err) || apierrors.IsResourceExpired(err), "got %v", err)
}

func TestARetryWatcherGoesOnAfterTheEndOfAWatch(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	first := create(t, client, ns, "a")
	opened := atomic.Int32{}
	lister := &cache.ListWatch{WatchFuncWithContext: func(
		bounded context.Context, options metav1.ListOptions) (watch.Interface, error) {
		opened.Add(1)
		options.TimeoutSeconds = ptr.To(int64(1))
		options.FieldSelector = "metadata.name=b"
		return client.CoreV1().ConfigMaps(ns).Watch(bounded, options)
	}}
	events, err := watchtools.NewRetryWatcherWithContext(ctx(t), first.ResourceVersion, lister)
	must(t, err)
	defer events.Stop()
	eventually(t, "it has been opened again", func() bool { return opened.Load() > 1 })
	create(t, client, ns, "b")
	event := next(t, events)
	check(t, event.Type == watch.Added, "it was %v", event)
}

func TestAWaitWithACacheEndsWhenItsConditionHolds(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	lister := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", ns, nothing())
	_, err := client.CoreV1().Pods(ns).Create(ctx(t), pod("a"), metav1.CreateOptions{})
	must(t, err)
	_, err = watchtools.UntilWithSync(ctx(t), lister, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		return event.Object.(*corev1.Pod).Status.Phase == corev1.PodRunning, nil
	})
	must(t, err)
}

// told counts what an informer tells its handler.
type told struct{ added, updated, deleted atomic.Int32 }

func (told *told) handler() cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { told.added.Add(1) },
		UpdateFunc: func(any, any) { told.updated.Add(1) },
		DeleteFunc: func(any) { told.deleted.Add(1) },
	}
}

func factory(t *testing.T, client kubernetes.Interface, ns string, options ...informers.SharedInformerOption,
) informers.SharedInformerFactory {
	t.Helper()
	notRoot := informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.FieldSelector = "metadata.name!=kube-root-ca.crt"
	})
	options = append([]informers.SharedInformerOption{informers.WithNamespace(ns), notRoot}, options...)
	return informers.NewSharedInformerFactoryWithOptions(client, 0, options...)
}

// started runs what was asked of the factory until the test ends.
func started(t *testing.T, made informers.SharedInformerFactory) {
	t.Helper()
	stop := make(chan struct{})
	made.Start(stop)
	t.Cleanup(func() { close(stop); made.Shutdown() })
	for kind, is := range made.WaitForCacheSync(ctx(t).Done()) {
		check(t, is, "%v is not synced", kind)
	}
}

func TestAnInformerTellsAddsUpdatesAndDeletions(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	old := create(t, client, ns, "old")
	made, told := factory(t, client, ns), &told{}
	_, err := made.Core().V1().ConfigMaps().Informer().AddEventHandler(told.handler())
	must(t, err)
	started(t, made)
	create(t, client, ns, "new")
	label(t, client, old, "1")
	remove(t, client, ns, "new")
	eventually(t, "all is told", func() bool {
		return told.added.Load() == 2 && told.updated.Load() == 1 && told.deleted.Load() == 1
	})
}

func TestAListerAnswersFromTheCache(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	create(t, client, ns, "a")
	made := factory(t, client, ns)
	lister := made.Core().V1().ConfigMaps().Lister()
	made.Core().V1().ConfigMaps().Informer()
	started(t, made)
	_, err := lister.ConfigMaps(ns).Get("a")
	must(t, err)
	all, err := lister.List(labels.Everything())
	must(t, err)
	check(t, len(all) == 1, "%d are listed", len(all))
	_, err = lister.ConfigMaps(ns).Get("missing")
	check(t, apierrors.IsNotFound(err), "got %v", err)
}

func TestAnIndexFollowsTheObjects(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	made := factory(t, client, ns)
	informer := made.Core().V1().ConfigMaps().Informer()
	must(t, informer.AddIndexers(cache.Indexers{"label": func(obj any) ([]string, error) {
		return []string{obj.(*corev1.ConfigMap).Labels["label"]}, nil
	}}))
	started(t, made)
	label(t, client, create(t, client, ns, "a"), "1")
	eventually(t, "the index has it", func() bool {
		found, err := informer.GetIndexer().ByIndex("label", "1")
		return err == nil && len(found) == 1
	})
}

func TestATransformComesBeforeTheCache(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	create(t, client, ns, "a")
	made := factory(t, client, ns, informers.WithTransform(func(obj any) (any, error) {
		obj.(*corev1.ConfigMap).ManagedFields = nil
		return obj, nil
	}))
	informer := made.Core().V1().ConfigMaps().Informer()
	started(t, made)
	cached := informer.GetStore().List()[0].(*corev1.ConfigMap)
	check(t, cached.Name == "a" && cached.ManagedFields == nil, "the cache has %v", cached)
}

func TestAnInformerWithoutATypeTellsWhatIsDefined(t *testing.T) {
	client, ns := dynamicClient(t), namespace(t)
	kind, told := defined(t, client), &told{}
	made := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, ns, nil)
	_, err := made.ForResource(kind).Informer().AddEventHandler(told.handler())
	must(t, err)
	stop := make(chan struct{})
	defer close(stop)
	made.Start(stop)
	made.WaitForCacheSync(ctx(t).Done())
	_, err = client.Resource(kind).Namespace(ns).Create(ctx(t), widget(kind, "a", 1), metav1.CreateOptions{})
	must(t, err)
	eventually(t, "it is told", func() bool { return told.added.Load() == 1 })
}

func TestAnInformerOfMetadataTellsChanges(t *testing.T) {
	client, ns, told := clientset(t), namespace(t), &told{}
	onlyMetadata, err := metadata.NewForConfig(config(t))
	must(t, err)
	made := metadatainformer.NewFilteredSharedInformerFactory(onlyMetadata, 0, ns, nil)
	_, err = made.ForResource(maps).Informer().AddEventHandler(told.handler())
	must(t, err)
	stop := make(chan struct{})
	defer close(stop)
	made.Start(stop)
	made.WaitForCacheSync(ctx(t).Done())
	label(t, client, create(t, client, ns, "a"), "1")
	eventually(t, "it is told", func() bool { return told.updated.Load() >= 1 })
}

func TestOneLeadsAndAnotherFollowsWhenItLetsGo(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	var mutex sync.Mutex
	var leaders []string
	run := func(bounded context.Context, name string) {
		leaderelection.RunOrDie(bounded, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta: metav1.ObjectMeta{Name: "leader", Namespace: ns}, Client: client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: name}},
			LeaseDuration: 4 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 100 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { mutex.Lock(); leaders = append(leaders, name); mutex.Unlock() },
				OnStoppedLeading: func() {},
			},
		})
	}
	led := func(count int) bool { mutex.Lock(); defer mutex.Unlock(); return len(leaders) == count }
	first, letGo := context.WithCancel(ctx(t))
	go run(first, "one")
	eventually(t, "the first leads", func() bool { return led(1) })
	second, end := context.WithCancel(ctx(t))
	defer end()
	go run(second, "two")
	letGo()
	eventually(t, "the second leads", func() bool { return led(2) })
	lease, err := client.CoordinationV1().Leases(ns).Get(ctx(t), "leader", metav1.GetOptions{})
	must(t, err)
	check(t, holder(lease) == "two", "%s leads", holder(lease))
}

func holder(lease *coordinationv1.Lease) string { return ptr.Deref(lease.Spec.HolderIdentity, "") }
