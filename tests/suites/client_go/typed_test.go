package clientgo

import (
	"io"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"

	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

func TestObjectsAreCreatedReadChangedAndDeleted(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	made, err := maps.Create(ctx(t), configMap("a", map[string]string{"k": "1"}), metav1.CreateOptions{})
	must(t, err)
	made.Data["k"] = "2"
	changed, err := maps.Update(ctx(t), made, metav1.UpdateOptions{})
	must(t, err)
	check(t, changed.ResourceVersion != made.ResourceVersion, "the version is still %s", made.ResourceVersion)
	read, err := maps.Get(ctx(t), "a", metav1.GetOptions{})
	must(t, err)
	check(t, read.Data["k"] == "2", "read %v", read.Data)
	must(t, maps.Delete(ctx(t), "a", metav1.DeleteOptions{}))
	_, err = maps.Get(ctx(t), "a", metav1.GetOptions{})
	check(t, apierrors.IsNotFound(err), "got %v", err)
}

func TestAnUpdateFromAnOldVersionConflicts(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	old, err := maps.Create(ctx(t), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	newer := old.DeepCopy()
	newer.Data = map[string]string{"k": "1"}
	_, err = maps.Update(ctx(t), newer, metav1.UpdateOptions{})
	must(t, err)
	_, err = maps.Update(ctx(t), old, metav1.UpdateOptions{})
	check(t, apierrors.IsConflict(err), "got %v", err)
}

func TestConflictsAreRetriedUntilTheUpdateSucceeds(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	_, err := maps.Create(ctx(t), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	tries := 0
	must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		tries++
		read, err := maps.Get(ctx(t), "a", metav1.GetOptions{})
		must(t, err)
		if tries == 1 {
			other := read.DeepCopy()
			other.Data = map[string]string{"other": "1"}
			_, err = maps.Update(ctx(t), other, metav1.UpdateOptions{})
			must(t, err)
		}
		read.Labels = map[string]string{"mine": "1"}
		_, err = maps.Update(ctx(t), read, metav1.UpdateOptions{})
		return err
	}))
	check(t, tries == 2, "it took %d tries", tries)
}

func TestASecondCreationIsRefused(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	_, err := maps.Create(ctx(t), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	_, err = maps.Create(ctx(t), configMap("a", nil), metav1.CreateOptions{})
	check(t, apierrors.IsAlreadyExists(err), "got %v", err)
}

func TestABadObjectIsRefusedWithItsCauses(t *testing.T) {
	_, err := clientset(t).CoreV1().Pods(namespace(t)).Create(
		ctx(t), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
	check(t, apierrors.IsInvalid(err), "got %v", err)
	status, _ := err.(apierrors.APIStatus)
	causes := status.Status().Details.Causes
	check(t, len(causes) > 0 && causes[0].Field == "spec.containers", "causes %v", causes)
}

func TestADryRunStoresNothing(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	made, err := maps.Create(ctx(t), configMap("a", nil), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	must(t, err)
	check(t, made.UID != "", "it has no uid")
	_, err = maps.Get(ctx(t), "a", metav1.GetOptions{})
	check(t, apierrors.IsNotFound(err), "got %v", err)
}

func TestGeneratedNamesAreFree(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	names := map[string]bool{}
	for range 5 {
		made, err := maps.Create(
			ctx(t), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-"}}, metav1.CreateOptions{})
		must(t, err)
		names[made.Name] = true
	}
	check(t, len(names) == 5, "names %v", names)
}

func TestSelectorsChoose(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	for _, name := range []string{"a", "b"} {
		made := configMap(name, nil)
		made.Labels = map[string]string{"name": name}
		_, err := maps.Create(ctx(t), made, metav1.CreateOptions{})
		must(t, err)
	}
	byLabel, err := maps.List(ctx(t), metav1.ListOptions{LabelSelector: "name in (b, c)"})
	must(t, err)
	check(t, len(byLabel.Items) == 1 && byLabel.Items[0].Name == "b", "by label %v", byLabel.Items)
	byField, err := maps.List(ctx(t), metav1.ListOptions{FieldSelector: "metadata.name=a"})
	must(t, err)
	check(t, len(byField.Items) == 1 && byField.Items[0].Name == "a", "by field %v", byField.Items)
}

func TestAListInPagesIsComplete(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	for number := range 25 {
		_, err := maps.Create(ctx(t), configMap(fmt.Sprintf("a-%02d", number), nil), metav1.CreateOptions{})
		must(t, err)
	}
	pages := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		return maps.List(context.Background(), options)
	}))
	pages.PageSize = 4
	seen := 0
	must(t, pages.EachListItem(ctx(t), metav1.ListOptions{}, func(runtime.Object) error { seen++; return nil }))
	check(t, seen >= 25, "seen %d", seen)
}

func TestACollectionIsDeletedBySelector(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	for _, name := range []string{"a", "b"} {
		made := configMap(name, nil)
		made.Labels = map[string]string{"name": name}
		_, err := maps.Create(ctx(t), made, metav1.CreateOptions{})
		must(t, err)
	}
	must(t, maps.DeleteCollection(ctx(t), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "name=a"}))
	_, err := maps.Get(ctx(t), "a", metav1.GetOptions{})
	check(t, apierrors.IsNotFound(err), "got %v", err)
	_, err = maps.Get(ctx(t), "b", metav1.GetOptions{})
	must(t, err)
}

func TestADeletionHasPreconditions(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	_, err := maps.Create(ctx(t), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	other := types.UID("00000000-0000-0000-0000-000000000000")
	err = maps.Delete(ctx(t), "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other}})
	check(t, apierrors.IsConflict(err), "got %v", err)
}

func TestAFinalizerHoldsADeletedObject(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	held := configMap("a", nil)
	held.Finalizers = []string{"example.net/held"}
	_, err := maps.Create(ctx(t), held, metav1.CreateOptions{})
	must(t, err)
	must(t, maps.Delete(ctx(t), "a", metav1.DeleteOptions{}))
	read, err := maps.Get(ctx(t), "a", metav1.GetOptions{})
	must(t, err)
	check(t, read.DeletionTimestamp != nil, "it is not being deleted")
	read.Finalizers = nil
	_, err = maps.Update(ctx(t), read, metav1.UpdateOptions{})
	must(t, err)
	_, err = maps.Get(ctx(t), "a", metav1.GetOptions{})
	check(t, apierrors.IsNotFound(err), "got %v", err)
}

func TestWhatAnOwnerOwnsGoesWithIt(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	owner, err := maps.Create(ctx(t), configMap("owner", nil), metav1.CreateOptions{})
	must(t, err)
	owned := configMap("owned", nil)
	owned.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	_, err = maps.Create(ctx(t), owned, metav1.CreateOptions{})
	must(t, err)
	must(t, maps.Delete(ctx(t), "owner", metav1.DeleteOptions{}))
	eventually(t, "the owned object is gone", func() bool {
		_, err := maps.Get(ctx(t), "owned", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestEachKindOfPatchChangesTheObject(t *testing.T) {
	pods := clientset(t).CoreV1().Pods(namespace(t))
	_, err := pods.Create(ctx(t), pod("a"), metav1.CreateOptions{})
	must(t, err)
	for kind, patch := range map[types.PatchType]string{
		types.JSONPatchType:  `[{"op": "add", "path": "/metadata/labels/json", "value": "1"}]`,
		types.MergePatchType: `{"metadata": {"labels": {"merge": "1"}}}`,
		types.StrategicMergePatchType: `{"metadata": {"labels": {"strategic": "1"}},
			"spec": {"containers": [{"name": "main", "image": "alpine"}]}}`,
	} {
		_, err := pods.Patch(ctx(t), "a", kind, []byte(patch), metav1.PatchOptions{})
		must(t, err)
	}
	read, err := pods.Get(ctx(t), "a", metav1.GetOptions{})
	must(t, err)
	check(t, len(read.Labels) == 4 && read.Spec.Containers[0].Image == "alpine", "read %v", read)
}

func TestAnApplyOwnsItsFieldsAndConflictsUntilForced(t *testing.T) {
	ns := namespace(t)
	maps := clientset(t).CoreV1().ConfigMaps(ns)
	mine := corev1apply.ConfigMap("a", ns).WithData(map[string]string{"k": "1"})
	_, err := maps.Apply(ctx(t), mine, metav1.ApplyOptions{FieldManager: "one"})
	must(t, err)
	theirs := corev1apply.ConfigMap("a", ns).WithData(map[string]string{"k": "2"})
	_, err = maps.Apply(ctx(t), theirs, metav1.ApplyOptions{FieldManager: "two"})
	check(t, apierrors.IsConflict(err), "got %v", err)
	made, err := maps.Apply(ctx(t), theirs, metav1.ApplyOptions{FieldManager: "two", Force: true})
	must(t, err)
	check(t, made.Data["k"] == "2", "made %v", made.Data)
}

func TestAnExtractedConfigurationLeavesOutWhatOthersOwn(t *testing.T) {
	ns := namespace(t)
	maps := clientset(t).CoreV1().ConfigMaps(ns)
	for _, manager := range []string{"one", "two"} {
		part := corev1apply.ConfigMap("a", ns).WithData(map[string]string{manager: "1"})
		_, err := maps.Apply(ctx(t), part, metav1.ApplyOptions{FieldManager: manager})
		must(t, err)
	}
	read, err := maps.Get(ctx(t), "a", metav1.GetOptions{})
	must(t, err)
	extracted, err := corev1apply.ExtractConfigMap(read, "one")
	must(t, err)
	check(t, len(extracted.Data) == 1 && extracted.Data["one"] == "1", "extracted %v", extracted.Data)
}

func TestUnknownFieldsAreRefusedWhereValidationIsStrict(t *testing.T) {
	maps := clientset(t).CoreV1().ConfigMaps(namespace(t))
	_, err := maps.Create(ctx(t), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	_, err = maps.Patch(ctx(t), "a", types.MergePatchType, []byte(`{"unknown": 1}`),
		metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict})
	check(t, apierrors.IsInvalid(err) || apierrors.IsBadRequest(err), "got %v", err)
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(replicas),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod(name).Spec},
		},
	}
}

func TestAStatusIsWrittenByItsSubresourceOnly(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	claims := client.CoreV1().PersistentVolumeClaims(ns)
	made, err := claims.Create(ctx(t), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": quantity("1Gi")}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	made.Status.Phase = corev1.ClaimLost
	made, err = claims.Update(ctx(t), made, metav1.UpdateOptions{})
	must(t, err)
	check(t, made.Status.Phase == corev1.ClaimPending, "an update wrote %s", made.Status.Phase)
	made.Status.Phase = corev1.ClaimLost
	made, err = claims.UpdateStatus(ctx(t), made, metav1.UpdateOptions{})
	must(t, err)
	check(t, made.Status.Phase == corev1.ClaimLost, "the status is %s", made.Status.Phase)
}

func TestAScaleSetsTheReplicas(t *testing.T) {
	deployments := clientset(t).AppsV1().Deployments(namespace(t))
	_, err := deployments.Create(ctx(t), deployment("a", 1), metav1.CreateOptions{})
	must(t, err)
	retried := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		scale, err := deployments.GetScale(ctx(t), "a", metav1.GetOptions{})
		must(t, err)
		scale.Spec = autoscalingv1.ScaleSpec{Replicas: 3}
		_, err = deployments.UpdateScale(ctx(t), "a", scale, metav1.UpdateOptions{})
		return err
	})
	must(t, retried)
	eventually(t, "three replicas are ready", func() bool {
		read, err := deployments.Get(ctx(t), "a", metav1.GetOptions{})
		return err == nil && read.Status.ReadyReplicas == 3
	})
}

func TestAnEvictionHonoursTheBudget(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	budgets := client.PolicyV1().PodDisruptionBudgets(ns)
	one := intstr.FromInt32(1)
	_, err := budgets.Create(ctx(t), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	running(t, client, ns, "a")
	evict := func() error {
		return client.PolicyV1().Evictions(ns).Evict(
			ctx(t), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: ns}})
	}
	eventually(t, "the budget is known", func() bool {
		read, err := budgets.Get(ctx(t), "a", metav1.GetOptions{})
		return err == nil && read.Status.CurrentHealthy == 1
	})
	err = evict()
	check(t, apierrors.IsTooManyRequests(err), "got %v", err)
	must(t, budgets.Delete(ctx(t), "a", metav1.DeleteOptions{}))
	must(t, evict())
}

func TestLogsAreReadAsAStream(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	running(t, client, ns, "a")
	stream, err := client.CoreV1().Pods(ns).GetLogs("a", &corev1.PodLogOptions{}).Stream(ctx(t))
	must(t, err)
	defer stream.Close()
	_, err = io.ReadAll(stream)
	must(t, err)
}

func TestATokenOfAnAccountIsReviewed(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	eventually(t, "the account is there", func() bool {
		_, err := client.CoreV1().ServiceAccounts(ns).Get(ctx(t), "default", metav1.GetOptions{})
		return err == nil
	})
	token, err := client.CoreV1().ServiceAccounts(ns).CreateToken(
		ctx(t), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	review, err := client.AuthenticationV1().TokenReviews().Create(ctx(t), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{})
	must(t, err)
	user := review.Status.User.Username
	check(t, review.Status.Authenticated && user == "system:serviceaccount:"+ns+":default", "it is %s's", user)
}

func TestAccessIsReviewed(t *testing.T) {
	answer, err := clientset(t).AuthorizationV1().SelfSubjectAccessReviews().Create(
		ctx(t), &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "pods"}}},
		metav1.CreateOptions{})
	must(t, err)
	check(t, answer.Status.Allowed, "not allowed: %s", answer.Status.Reason)
}

func TestAJobEndsWell(t *testing.T) {
	client, ns := clientset(t), namespace(t)
	_, err := client.BatchV1().Jobs(ns).Create(ctx(t), job("a"), metav1.CreateOptions{})
	must(t, err)
	eventually(t, "the job is complete", func() bool {
		read, err := client.BatchV1().Jobs(ns).Get(ctx(t), "a", metav1.GetOptions{})
		return err == nil && read.Status.Succeeded == 1
	})
}

func TestANamespaceGoesWithAllThatIsInIt(t *testing.T) {
	client := clientset(t)
	ns := namespace(t)
	running(t, client, ns, "a")
	must(t, client.CoreV1().Namespaces().Delete(ctx(t), ns, metav1.DeleteOptions{}))
	gone(t, client, ns)
}

func gone(t *testing.T, client kubernetes.Interface, ns string) {
	t.Helper()
	eventually(t, "the namespace is gone", func() bool {
		_, err := client.CoreV1().Namespaces().Get(ctx(t), ns, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}
