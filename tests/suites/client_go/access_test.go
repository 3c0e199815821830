package clientgo

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/tools/remotecommand"
)

// inProtobuf is a client whose bodies and answers are protobuf.
func inProtobuf(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	cfg := config(t)
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf"
	return clientsetOf(t, cfg)
}

func whoAmI(t *testing.T, cfg *rest.Config) authenticationv1.UserInfo {
	t.Helper()
	answer, err := clientsetOf(t, cfg).AuthenticationV1().SelfSubjectReviews().Create(
		ctx(t), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	must(t, err)
	return answer.Status.UserInfo
}

func TestObjectsAreWrittenAndReadInProtobuf(t *testing.T) {
	client, ns := inProtobuf(t), namespace(t)
	made, err := client.AppsV1().Deployments(ns).Create(ctx(t), deployment("a", 2), metav1.CreateOptions{})
	must(t, err)
	inJSON, err := clientset(t).AppsV1().Deployments(ns).Get(ctx(t), "a", metav1.GetOptions{})
	must(t, err)
	made, err = client.AppsV1().Deployments(ns).Get(ctx(t), "a", metav1.GetOptions{ResourceVersion: "0"})
	must(t, err)
	check(t, equality.Semantic.DeepEqual(made.Spec, inJSON.Spec), "in protobuf %v, in JSON %v", made.Spec, inJSON.Spec)
}

func TestAListComesInProtobuf(t *testing.T) {
	client, ns := inProtobuf(t), namespace(t)
	create(t, client, ns, "a")
	list, err := client.CoreV1().ConfigMaps(ns).List(ctx(t), metav1.ListOptions{FieldSelector: "metadata.name=a"})
	must(t, err)
	check(t, len(list.Items) == 1 && list.ResourceVersion != "", "listed %v", list)
}

func TestAWatchComesInProtobuf(t *testing.T) {
	client, ns := inProtobuf(t), namespace(t)
	events, err := client.CoreV1().ConfigMaps(ns).Watch(ctx(t), metav1.ListOptions{FieldSelector: "metadata.name=a"})
	must(t, err)
	defer events.Stop()
	create(t, client, ns, "a")
	event := next(t, events)
	check(t, event.Object.(*corev1.ConfigMap).Name == "a", "it was %v", event)
}

func TestARefusalComesInProtobuf(t *testing.T) {
	_, err := inProtobuf(t).CoreV1().ConfigMaps(namespace(t)).Get(ctx(t), "missing", metav1.GetOptions{})
	check(t, apierrors.IsNotFound(err), "got %v", err)
	status, _ := err.(apierrors.APIStatus)
	check(t, status.Status().Details.Name == "missing", "details %v", status.Status().Details)
}

func TestAWarningReachesItsHandler(t *testing.T) {
	warned := &warnings{}
	cfg := config(t)
	cfg.WarningHandler = warned
	ns := namespace(t)
	create(t, clientset(t), ns, "a")
	_, err := clientsetOf(t, cfg).CoreV1().ConfigMaps(ns).Patch(
		ctx(t), "a", types.MergePatchType, []byte(`{"unknown": 1}`), metav1.PatchOptions{})
	must(t, err)
	check(t, strings.Contains(warned.all(), `unknown field "unknown"`), "warned of %q", warned.all())
}

type warnings struct {
	mutex sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) all() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return strings.Join(w.texts, "\n")
}

func TestAClientActsAsAnotherUser(t *testing.T) {
	cfg := config(t)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "ada", Groups: []string{"dev"}}
	user := whoAmI(t, cfg)
	check(t, user.Username == "ada" && user.Groups[0] == "dev", "it is %v", user)
}

func TestAUserWithoutARoleIsForbiddenUntilItHasOne(t *testing.T) {
	admin, ns := clientset(t), namespace(t)
	cfg := config(t)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "bob"}
	bob := clientsetOf(t, cfg).CoreV1().ConfigMaps(ns)
	_, err := bob.List(ctx(t), metav1.ListOptions{})
	check(t, apierrors.IsForbidden(err), "got %v", err)
	_, err = admin.RbacV1().RoleBindings(ns).Create(ctx(t), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bob"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "bob", APIGroup: rbacv1.GroupName}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "view", APIGroup: rbacv1.GroupName},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = bob.List(ctx(t), metav1.ListOptions{})
	must(t, err)
}

// as writes a kubeconfig for the same cluster with other credentials, and loads it as programs do.
func as(t *testing.T, user *clientcmdapi.AuthInfo) *rest.Config {
	t.Helper()
	loaded, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	must(t, err)
	made := clientcmdapi.NewConfig()
	made.Clusters["it"] = loaded.Clusters[loaded.Contexts[loaded.CurrentContext].Cluster]
	made.AuthInfos["me"] = user
	made.Contexts["there"] = &clientcmdapi.Context{Cluster: "it", AuthInfo: "me", Namespace: "mine"}
	made.CurrentContext = "there"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*made, file))
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
	deferred := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	ns, _, err := deferred.Namespace()
	must(t, err)
	check(t, ns == "mine", "the namespace is %s", ns)
	cfg, err := deferred.ClientConfig()
	must(t, err)
	return cfg
}

func accountToken(t *testing.T) string {
	t.Helper()
	answer, err := clientset(t).CoreV1().ServiceAccounts("default").CreateToken(
		ctx(t), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return answer.Status.Token
}

const account = "system:serviceaccount:default:default"

func TestATokenFromAKubeconfigIsTaken(t *testing.T) {
	user := whoAmI(t, as(t, &clientcmdapi.AuthInfo{Token: accountToken(t)}))
	check(t, user.Username == account, "it is %s", user.Username)
}

func TestATokenFromAFileIsTaken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte(accountToken(t)), 0o600))
	user := whoAmI(t, as(t, &clientcmdapi.AuthInfo{TokenFile: file}))
	check(t, user.Username == account, "it is %s", user.Username)
}

func TestATokenFromAnExecPluginIsTaken(t *testing.T) {
	script := filepath.Join(t.TempDir(), "credentials")
	credential := fmt.Sprintf(`{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
		"status": {"token": %q}}`, accountToken(t))
	must(t, os.WriteFile(script, []byte("#!/bin/sh\ncat <<'END'\n"+credential+"\nEND\n"), 0o700))
	user := whoAmI(t, as(t, &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: script,
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode}}))
	check(t, user.Username == account, "it is %s", user.Username)
}

func TestATokenThatIsNoneIsRefused(t *testing.T) {
	_, err := clientsetOf(t, as(t, &clientcmdapi.AuthInfo{Token: "none"})).CoreV1().ConfigMaps("default").List(
		ctx(t), metav1.ListOptions{})
	check(t, apierrors.IsUnauthorized(err), "got %v", err)
}

func TestAnEventRecorderCountsWhatRepeats(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	about := create(t, client, ns, "a")
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(sink(client, ns))
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "program"})
	for range 3 {
		recorder.Event(about, corev1.EventTypeNormal, "Made", "it was made")
	}
	eventually(t, "there is one event, three times", func() bool {
		list, err := client.CoreV1().Events(ns).List(ctx(t), metav1.ListOptions{FieldSelector: "reason=Made"})
		return err == nil && len(list.Items) == 1 && list.Items[0].Count == 3
	})
}

func TestANewRecorderWritesEventsOfTheirGroup(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	about := create(t, client, ns, "a")
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	defer broadcaster.Shutdown()
	must(t, broadcaster.StartRecordingToSinkWithContext(ctx(t)))
	broadcaster.NewRecorder(scheme.Scheme, "example.net/program").Eventf(
		about, nil, corev1.EventTypeNormal, "Made", "Making", "it was made")
	var found []eventsv1.Event
	eventually(t, "the event is there", func() bool {
		list, err := client.EventsV1().Events(ns).List(ctx(t), metav1.ListOptions{})
		if err == nil {
			found = list.Items
		}
		return len(found) == 1
	})
	check(t, found[0].Action == "Making" && found[0].Regarding.Name == "a", "it is %v", found[0])
}

func TestACommandRunsInAContainer(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	running(t, client, ns, "a")
	request := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name("a").SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"sh", "-c", "cat; echo wrong >&2; exit 3"},
			Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(config(t), http.MethodGet, request.URL().String())
	must(t, err)
	var out, wrong bytes.Buffer
	err = executor.StreamWithContext(ctx(t), remotecommand.StreamOptions{
		Stdin: strings.NewReader("typed"), Stdout: &out, Stderr: &wrong})
	check(t, out.String() == "typed" && wrong.String() == "wrong\n", "it said %q and %q", &out, &wrong)
	code, _ := err.(interface{ ExitStatus() int })
	check(t, code != nil && code.ExitStatus() == 3, "got %v", err)
}

func TestAPortIsForwarded(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	made := pod("a")
	made.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
	_, err := client.CoreV1().Pods(ns).Create(ctx(t), made, metav1.CreateOptions{})
	must(t, err)
	eventually(t, "the pod runs", func() bool {
		found, err := client.CoreV1().Pods(ns).Get(ctx(t), "a", metav1.GetOptions{})
		return err == nil && found.Status.Phase == corev1.PodRunning
	})
	url := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name("a").SubResource("portforward").URL()
	dialer, err := portforward.NewSPDYOverWebsocketDialer(url, config(t))
	must(t, err)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.New(dialer, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	defer close(stop)
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("it is never ready")
	}
	ports, err := forwarder.GetPorts()
	must(t, err)
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local))
	must(t, err)
	defer answer.Body.Close()
	check(t, answer.StatusCode == http.StatusOK, "it answered %s", answer.Status)
}

func TestAThrottledRequestIsMadeAgain(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	create(t, client, ns, "a")
	answers := atomic.Int32{}
	cfg := config(t)
	cfg.Wrap(func(inner http.RoundTripper) http.RoundTripper {
		return roundTrip(func(request *http.Request) (*http.Response, error) {
			answer, err := inner.RoundTrip(request)
			if err == nil && answer.StatusCode == http.StatusTooManyRequests {
				answers.Add(1)
			}
			return answer, err
		})
	})
	path := "/api/v1/namespaces/" + ns + "/configmaps/a"
	must(t, client.CoreV1().RESTClient().Post().AbsPath("/_deltawire/faults").Param("kind", "throttle").
		Param("count", "2").Param("path", path).Do(ctx(t)).Error())
	_, err := clientsetOf(t, cfg).CoreV1().ConfigMaps(ns).Get(ctx(t), "a", metav1.GetOptions{})
	must(t, err)
	check(t, answers.Load() == 2, "it was throttled %d times", answers.Load())
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func TestAProxyLeadsToAPod(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	made := pod("a")
	made.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
	_, err := client.CoreV1().Pods(ns).Create(ctx(t), made, metav1.CreateOptions{})
	must(t, err)
	eventually(t, "the pod answers", func() bool {
		_, err := client.CoreV1().Pods(ns).ProxyGet("http", "a", "8080", "/", nil).DoRaw(ctx(t))
		return err == nil
	})
}
